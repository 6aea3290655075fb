"""The keys and the catalogue of the doors' tests are used here too."""

from tests.experiments.api.conftest import doors, folders_of_the_file, own_files  # noqa: F401  (fixtures)
