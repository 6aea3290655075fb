"""Serve recommendations on the port that the recommendation engine's guide prints."""

import argparse

from examples.recommender.app import recommender
from examples.wsgi import client_from_environment, serve

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--port", type=int, default=8082)
with client_from_environment() as assay:
    serve(recommender(assay), port=parser.parse_args().port)
