#!/bin/sh
# Run once, when the database is made: the role that the application uses. Migrations give it its rights.
set -eu
psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 --set password="$APP_PASSWORD" <<'SQL'
CREATE ROLE assay_app LOGIN PASSWORD :'password';
SQL
