"""Archives outside databases: a directory or an object store that keeps rows as Parquet files.

This room knows no engine and no Airflow. `fleet.location` says what may be written in a fleet file, `opening` opens
it, `columns` says how each column travels and is kept, `parquet` writes and reads files of such columns,
`manifest` is what is known of each file, `shelf` puts files and manifests of one table in order.
"""
