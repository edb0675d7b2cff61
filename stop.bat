@echo off
rem Stop the node that start.bat runs.
setlocal
cd /d "%~dp0"
if not defined ARTHEXIS_HOME set "ARTHEXIS_HOME=%CD%\.arthexis"
.venv\Scripts\python -m arthexis stop %*
