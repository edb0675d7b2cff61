@echo off
rem Set up (once) and run a Terminal node: start.bat [--port 8888] [--strict] [--lan] ...
setlocal EnableDelayedExpansion
cd /d "%~dp0"
if not exist .venv\Scripts\python.exe (
    py -3 -c "import sys; sys.exit(sys.version_info < (3, 11))" || (
        echo Arthexis needs Python 3.11 or newer: https://www.python.org/downloads/ 1>&2
        exit /b 1
    )
    echo Making .venv ...
    py -3 -m venv .venv || exit /b 1
)
rem What was installed is known from the setup.cfg files as they were then.
type setup.cfg > .venv\arthexis.new
for /d %%P in (plugins\*) do if exist "%%P\setup.cfg" type "%%P\setup.cfg" >> .venv\arthexis.new
fc /b .venv\arthexis.new .venv\arthexis.stamp >nul 2>&1 || (
    echo Installing Arthexis and its plugins into .venv ^(once^) ...
    set wanted=
    for /d %%P in (plugins\*) do if exist "%%P\setup.cfg" set wanted=!wanted! -e %%P
    .venv\Scripts\python -m pip install --quiet --disable-pip-version-check -e . !wanted! || exit /b 1
    copy /y .venv\arthexis.new .venv\arthexis.stamp >nul
)
if not defined ARTHEXIS_HOME set "ARTHEXIS_HOME=%CD%\.arthexis"
.venv\Scripts\python -m arthexis start --open %*
exit /b %ERRORLEVEL%
