from examples.recommender.app import recommender
from examples.wsgi import client_from_environment, serve

with client_from_environment() as assay:
    serve(recommender(assay), port=8101)
