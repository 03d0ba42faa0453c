"""``qcluster``: django-q2's workers, watched by a guard that replaces them when one is killed."""

from __future__ import annotations

import os
import sys
from typing import Any

from django_q.management.commands.qcluster import Command as QCluster

from discovery.services.jobs.cluster import Guard


class Command(QCluster):  # type: ignore[misc]
    help = "Start task workers. Ctrl-C stops them: what they do goes on after the next start."

    def handle(self, *args: Any, **options: Any) -> None:
        if options.get("run_once"):
            super().handle(*args, **options)
            return
        if options.get("cluster_name"):
            os.environ["Q_CLUSTER_NAME"] = options["cluster_name"]
        sys.exit(Guard().run(self.stderr.write))
