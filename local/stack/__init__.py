"""The local stack: real servers and Airflow under supervisor, on free ports, with generated passwords."""
