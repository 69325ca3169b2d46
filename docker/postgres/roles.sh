#!/bin/bash
# The first start of PostgreSQL: who migrates, who serves, who reads (docs/security.md). Nobody but them gets in.
set -euo pipefail
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --quiet \
    --set database="$POSTGRES_DB" --set migrate="$POSTGRES_MIGRATE_PASSWORD" --set serve="$POSTGRES_SERVE_PASSWORD" \
    --set report="$POSTGRES_REPORT_PASSWORD" <<'SQL'
CREATE ROLE carillon_owner NOLOGIN;
CREATE ROLE carillon_app NOLOGIN;
CREATE ROLE carillon_reader NOLOGIN;
CREATE ROLE carillon_migrate LOGIN PASSWORD :'migrate' IN ROLE carillon_owner;
CREATE ROLE carillon_serve LOGIN PASSWORD :'serve' IN ROLE carillon_app;
CREATE ROLE carillon_report LOGIN PASSWORD :'report' IN ROLE carillon_reader;
ALTER ROLE carillon_report SET statement_timeout = '30s';
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO carillon_owner, carillon_app, carillon_reader;
-- With the grant option: migrating gives the owner what it needs, each time.
GRANT CREATE ON DATABASE :"database" TO carillon_owner WITH GRANT OPTION;
SQL
