"""The real servers and Airflow on one machine: how they are obtained, started, stopped and filled.

Run as ``.venv/bin/python -m local up|down|status|connections|sample|demo``. Nothing here is part of the
installed package: production needs none of it.
"""
