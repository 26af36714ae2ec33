"""Converts a folder on a Dask cluster: python dask_folder.py FOLDER OUT [ADDRESS OF THE SCHEDULER]"""

import sys

from dask.distributed import Client, LocalCluster

import ror_port

if __name__ == "__main__":  # workers import this file too
    folder, out, *address = sys.argv[1:]
    with Client(address[0] if address else LocalCluster(n_workers=2, threads_per_worker=1)) as client:
        executor = client.get_executor()
        report = ror_port.convert_many([folder], out, executor=executor, verify=False, skip_done=True)
    print(dict(report.counts))
