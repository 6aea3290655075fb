from examples.assistant.app import assistant, echo
from examples.wsgi import client_from_environment, serve

with client_from_environment() as assay:
    serve(assistant(assay, echo), port=8102)
