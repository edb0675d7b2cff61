@echo off
rem Set up (once) and run a Terminal node: start.bat [--port 8888] [--strict] [--lan] ...
setlocal
cd /d "%~dp0"
if not exist .venv\Scripts\python.exe (
    py -3 -c "import sys; sys.exit(sys.version_info < (3, 11))" || (
        echo Arthexis needs Python 3.11 or newer: https://www.python.org/downloads/ 1>&2
        exit /b 1
    )
    py -3 -m venv .venv || exit /b 1
)
if not exist .venv\arthexis.stamp (
    echo Installing Arthexis and its plugins into .venv ^(once^) ...
    .venv\Scripts\python -m pip install --quiet --disable-pip-version-check -e . -e plugins\ocpp16 -e plugins\roles -e plugins\simulator || exit /b 1
    echo done> .venv\arthexis.stamp
)
if not defined ARTHEXIS_HOME set "ARTHEXIS_HOME=%CD%\.arthexis"
.venv\Scripts\python -m arthexis start --open %*
