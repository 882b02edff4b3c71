"""The measured series: which file is which node's which metric, and for how many days that node has lived."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from upkeep import settings


@dataclass(frozen=True)
class Series:
    """One file of measured points."""

    file: str
    node_id: str
    metric_name: str
    unit: str
    days: int


# The lives differ, so that older months hold less: together some 500,000 points at one every five minutes.
SERIES = (
    Series("cpu_utilization_asg_misconfiguration", "asg-misconfigured", "cpu_utilization", "percent", 150),
    Series("ec2_cpu_utilization_24ae8d", "i-24ae8d", "cpu_utilization", "percent", 140),
    Series("ec2_cpu_utilization_53ea38", "i-53ea38", "cpu_utilization", "percent", 130),
    Series("ec2_cpu_utilization_5f5533", "i-5f5533", "cpu_utilization", "percent", 120),
    Series("ec2_cpu_utilization_77c1ca", "i-77c1ca", "cpu_utilization", "percent", 118),
    Series("ec2_cpu_utilization_825cc2", "i-825cc2", "cpu_utilization", "percent", 115),
    Series("ec2_cpu_utilization_ac20cd", "i-ac20cd", "cpu_utilization", "percent", 110),
    Series("ec2_cpu_utilization_c6585a", "i-c6585a", "cpu_utilization", "percent", 105),
    Series("ec2_cpu_utilization_fe7f93", "i-fe7f93", "cpu_utilization", "percent", 100),
    Series("ec2_disk_write_bytes_1ef3de", "i-1ef3de", "disk_write_bytes", "bytes", 95),
    Series("ec2_disk_write_bytes_c0d644", "i-c0d644", "disk_write_bytes", "bytes", 90),
    Series("ec2_network_in_257a54", "i-257a54", "network_in", "bytes", 85),
    Series("ec2_network_in_5abac7", "i-5abac7", "network_in", "bytes", 80),
    Series("ec2_request_latency_system_failure", "elb-failing", "request_latency", "milliseconds", 75),
    Series("elb_request_count_8c0756", "elb-8c0756", "request_count", "requests", 70),
    Series("grok_asg_anomaly", "asg-grok", "cpu_utilization", "percent", 65),
    Series("iio_us-east-1_i-a2eb1cd9_NetworkIn", "i-a2eb1cd9", "network_in", "bytes", 60),
    Series("rds_cpu_utilization_cc0c53", "rds-cc0c53", "cpu_utilization", "percent", 50),
    Series("rds_cpu_utilization_e47b3b", "rds-e47b3b", "cpu_utilization", "percent", 45),
)


def folder() -> Path:
    """Return the folder of the compressed files."""
    return settings.include_dir() / "sample" / "cloudwatch"


def points(series: Series) -> Iterator[tuple[str, str, str]]:
    """Give one series' points as (file, time without zone: UTC, value), as text for COPY."""
    with gzip.open(folder() / f"{series.file}.csv.gz", "rt", newline="") as handle:
        rows = csv.reader(handle)
        next(rows)  # the heading
        for at, value in rows:
            yield series.file, f"{at}+00", value
