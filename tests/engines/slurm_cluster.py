"""A real SLURM of one node, from Debian's packages unpacked into a folder: nothing is installed."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PACKAGES = ["slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "libmunge2", "munge", "libhwloc15"]
LIBRARIES = "usr/lib/x86_64-linux-gnu"
TOOLS = ("sbatch", "srun", "scontrol", "squeue", "sinfo", "scancel", "sacct")
START_SECONDS = 300.0

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={first}
SlurmdPort={second}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={state}/ctld
SlurmdSpoolDir={state}/d
SlurmctldPidFile={state}/ctld.pid
SlurmdPidFile={state}/d.pid
SlurmctldLogFile={state}/ctld.log
SlurmdLogFile={state}/d.log
PluginDir={plugins}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=600
SlurmctldTimeout=600
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def can_be_made():
    """Whether this machine can: Debian's tools, and root."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


class Cluster:
    """A controller and a node; use as a context manager."""

    def __init__(self, folder):
        self.root, self.state, self.tools = folder / "root", folder / "state", folder / "tools"
        self._daemons = []

    def __enter__(self):
        self._unpack()
        self._configure()
        plugins = self.root / LIBRARIES / "slurm-wlm"
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(self.state / "slurm.conf"),
            "LD_LIBRARY_PATH": f"{self.root / LIBRARIES}:{plugins}",
        }
        step = ["-d", str(self.root / "usr/sbin/slurmstepd-wlm")]
        for daemon, more in (("slurmctld-wlm", []), ("slurmd-wlm", step)):
            command = [str(self.root / "usr/sbin" / daemon), "-D", "-f", str(self.state / "slurm.conf"), *more]
            with (self.state / f"{daemon}.out").open("w") as log:
                self._daemons.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))
        end = time.monotonic() + START_SECONDS
        while "idle" not in self.ask("sinfo", "--noheader", "-o", "%T"):
            assert time.monotonic() < end, (self.state / "ctld.log").read_text()[-2000:]
            time.sleep(0.5)
        return self

    def __exit__(self, *_):
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            daemon.wait()

    def ask(self, tool, *arguments):
        """Return what one of SLURM's tools prints."""
        done = subprocess.run([str(self.tools / tool), *arguments], capture_output=True, text=True, check=False)
        return done.stdout

    def _unpack(self):
        packages = self.root.parent / "packages"
        packages.mkdir(parents=True)
        subprocess.run(["apt-get", "-qq", "download", *PACKAGES], cwd=packages, check=True, stderr=subprocess.DEVNULL)
        for package in packages.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(self.root)], check=True)

    def _configure(self):
        for name in ("ctld", "d"):
            (self.state / name).mkdir(parents=True)
        host, plugins = socket.gethostname().split(".")[0], self.root / LIBRARIES / "slurm-wlm"
        first, second = _free_ports()
        settings = {"host": host, "state": self.state, "plugins": plugins, "first": first, "second": second}
        (self.state / "slurm.conf").write_text(CONFIG.format(**settings, cpus=os.cpu_count()))
        self.tools.mkdir()
        for tool in TOOLS:
            script = self.tools / tool
            library = f"{self.root / LIBRARIES}:{plugins}"
            script.write_text(
                f"#!/bin/sh\nexport SLURM_CONF={self.state / 'slurm.conf'}\n"
                f'LD_LIBRARY_PATH={library} exec {self.root / "usr/bin" / tool} "$@"\n'
            )
            script.chmod(0o755)


def _free_ports():
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def only_tool(path: Path) -> str:
    """Return a PATH in which SLURM's tools come first."""
    return os.pathsep.join([str(path), os.environ["PATH"]])
