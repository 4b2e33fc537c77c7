# shellcheck shell=sh disable=SC2034 # the names are exported by the loop at the end
# To be sourced from the project's folder, after bin/bootstrap dev:  . .ci/services.sh
# Finds PostgreSQL, MariaDB, Redis, Chromium and strace, and exports TEST_POSTGRES_URL, TEST_MARIADB_URL, TEST_REDIS_URL,
# CHROMIUM and STRACE. What is set already is taken as it is; what answers on loopback is used; what is installed is started.
# With CI=true, what is missing is installed from Debian's packages. What cannot be had ends the shell with a sentence.
# SERVICES= limits it to some, for example SERVICES=chromium.

# Each asks by really connecting: a port that answers may still refuse the user.
_tandem_reach() {
    .venv/bin/python - "$1" 2>/dev/null <<'PYTHON'
import sys
from urllib.parse import unquote, urlsplit

url = urlsplit(sys.argv[1])
if url.scheme.startswith("postgres"):
    import psycopg

    with psycopg.connect(sys.argv[1], connect_timeout=3, autocommit=True) as connection:
        may = connection.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        sys.exit(not may[0])
elif url.scheme == "mysql":
    import pymysql

    connection = pymysql.connect(
        host=url.hostname, port=url.port or 3306, user=unquote(url.username or "root"),
        password=unquote(url.password or ""), connect_timeout=3,
    )
    with connection, connection.cursor() as cursor:
        # Django looks at the named database before it makes one for tests, and not every installation has `test`.
        cursor.execute("CREATE DATABASE IF NOT EXISTS `%s`" % (url.path.strip("/") or "test"))
else:
    import redis

    redis.Redis.from_url(sys.argv[1], socket_connect_timeout=3).ping()
PYTHON
}

# The first URL that answers, within some seconds.
_tandem_first() {
    _tries=$1 && shift
    while :; do
        for _url in "$@"; do
            if _tandem_reach "$_url"; then
                printf '%s\n' "$_url"
                return 0
            fi
        done
        _tries=$((_tries - 1))
        [ "$_tries" -gt 0 ] || return 1
        sleep 1
    done
}

_tandem_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

_tandem_fail() {
    printf '\n%s\n' "$1" >&2
    exit 1
}

# Install Debian packages, if this is CI; elsewhere installing is the owner's business.
_tandem_install() {
    [ "${CI:-}" = true ] || _tandem_fail "Not on this machine: $*. Install it, or set CI=true to have it installed with apt-get."
    command -v apt-get >/dev/null || _tandem_fail "Cannot install $*: this machine has no apt-get."
    echo "Installing $*"
    _log=$(mktemp)
    if [ -z "${_tandem_updated:-}" ]; then
        _tandem_root apt-get update >"$_log" 2>&1 || { cat "$_log" && _tandem_fail "apt-get update failed."; }
        _tandem_updated=yes
    fi
    _tandem_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$_log" 2>&1 </dev/null \
        || { tail -n 30 "$_log" && _tandem_fail "apt-get could not install $*."; }
    rm -f "$_log"
}

_tandem_postgres() {
    # Trust on loopback for the usual names, or the role made below.
    set -- postgres://postgres@127.0.0.1:5432/postgres \
        "postgres://$(id -un)@127.0.0.1:5432/postgres" \
        postgres://tandem_test:tandem_test@127.0.0.1:5432/postgres
    TEST_POSTGRES_URL=$(_tandem_first 1 "$@") && return
    ls /etc/postgresql/*/main >/dev/null 2>&1 || _tandem_install postgresql
    _version=$(find /etc/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -V | tail -n 1)
    [ -n "$_version" ] || _tandem_fail "PostgreSQL: installed, but it has no cluster; make one with pg_createcluster."
    _tandem_root pg_ctlcluster --skip-systemctl-redirect "$_version" main start </dev/null || true
    TEST_POSTGRES_URL=$(_tandem_first 10 "$@") && return
    # It runs, but passwords are asked for: a role for tests, by the local socket.
    _tandem_root su postgres -c "psql -qc \"CREATE ROLE tandem_test LOGIN CREATEDB PASSWORD 'tandem_test'\"" </dev/null || true
    TEST_POSTGRES_URL=$(_tandem_first 5 "$@") \
        || _tandem_fail "PostgreSQL does not answer on 127.0.0.1:5432; start it, or set TEST_POSTGRES_URL."
}

_tandem_mariadb() {
    set -- mysql://root@127.0.0.1:3306/test mysql://tandem_test:tandem_test@127.0.0.1:3306/test
    TEST_MARIADB_URL=$(_tandem_first 1 "$@") && return
    [ -x /usr/sbin/mariadbd ] || _tandem_install mariadb-server
    _tandem_root install -d -o mysql -g mysql /run/mysqld
    _tandem_root start-stop-daemon --start --oknodo --background --exec /usr/sbin/mariadbd -- --user=mysql </dev/null || true
    TEST_MARIADB_URL=$(_tandem_first 20 "$@") && return
    # Debian's root may only use the socket: a user for tests.
    for _host in localhost 127.0.0.1; do
        _tandem_root mariadb -e "CREATE USER IF NOT EXISTS tandem_test@'$_host' IDENTIFIED BY 'tandem_test'; GRANT ALL ON *.* TO tandem_test@'$_host'" </dev/null || true
    done
    TEST_MARIADB_URL=$(_tandem_first 5 "$@") \
        || _tandem_fail "MariaDB does not answer on 127.0.0.1:3306; start it, or set TEST_MARIADB_URL."
}

_tandem_redis() {
    set -- redis://127.0.0.1:6379/0
    TEST_REDIS_URL=$(_tandem_first 1 "$@") && return
    command -v redis-server >/dev/null || _tandem_install redis-server
    redis-server --daemonize yes --bind 127.0.0.1 -::1 --port 6379 --save "" --appendonly no --dir /tmp >/dev/null </dev/null || true
    TEST_REDIS_URL=$(_tandem_first 10 "$@") \
        || _tandem_fail "Redis does not answer on 127.0.0.1:6379; start it, or set TEST_REDIS_URL."
}

_tandem_chromium() {
    # The shell is the same browser without windows of its own to draw: a fifth less to do. At home either will do.
    CHROMIUM=$(command -v chromium-headless-shell || true)
    [ -n "$CHROMIUM" ] || [ "${CI:-}" = true ] || CHROMIUM=$(command -v chromium || true)
    # Without fonts for them, Chinese, Japanese and Thai are drawn as boxes.
    fonts=/usr/share/fonts/opentype
    if [ -z "$CHROMIUM" ] || ! ls $fonts/noto/NotoSansCJK* $fonts/tlwg/Loma* >/dev/null 2>&1; then
        _tandem_install chromium-headless-shell fonts-noto-cjk fonts-tlwg-loma-otf
        CHROMIUM=$(command -v chromium-headless-shell)
    fi
}

_tandem_strace() {
    command -v strace >/dev/null || _tandem_install strace
    STRACE=$(command -v strace)
}

for _service in ${SERVICES:-postgres mariadb redis chromium strace}; do
    case $_service in
        postgres) _name=TEST_POSTGRES_URL ;;
        mariadb) _name=TEST_MARIADB_URL ;;
        redis) _name=TEST_REDIS_URL ;;
        chromium) _name=CHROMIUM ;;
        strace) _name=STRACE ;;
        *) _tandem_fail "SERVICES: no such service: $_service" ;;
    esac
    eval "_value=\${$_name:-}"
    if [ -z "$_value" ]; then
        "_tandem_$_service"
    elif [ "$_service" = chromium ] || [ "$_service" = strace ]; then
        [ -x "$_value" ] || _tandem_fail "$_name=$_value is not a program."
    else
        _tandem_reach "$_value" || _tandem_fail "$_name is set, but nothing usable answers at $_value"
    fi
    eval "export $_name; printf '%s=%s\n' $_name \"\$$_name\""
done
