"""A server's processes: started, waited for, measured by /proc, stopped."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def come_to_rest():
    """Waits until the machine does next to nothing, for two seconds at most."""
    for _ in range(20):
        before = _idle()
        time.sleep(0.1)
        if _idle() - before > 0.09 * os.cpu_count():
            return
    print("something else is at work on this machine", file=sys.stderr)


def _idle():
    """Seconds that the processors have had nothing to do."""
    return int(Path("/proc/stat").read_text().split(None, 5)[4]) / os.sysconf("SC_CLK_TCK")


class Process:
    """One server with its workers; `log` gets what it says."""

    def __init__(self, command, log):
        self.log = log
        with open(log, "wb") as output:
            # Without the variable, distribution reports to a collector that is not there.
            environment = os.environ | {"OTEL_TRACES_EXPORTER": "none"}
            self.child = subprocess.Popen(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment)

    def listening(self, *ports):
        for port in ports:
            for _ in range(400):
                if self.child.poll() is not None:
                    break
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.025)
            else:
                raise SystemExit(f"nothing listens on port {port}:\n{self.last_words()}")
            if self.child.poll() is not None:
                raise SystemExit(f"it ended:\n{self.last_words()}")
        return self

    def last_words(self):
        lines = Path(self.log).read_text(errors="replace").splitlines()[-8:]
        return "\n".join([f"{self.log}:", *(line[:300] for line in lines)])

    def pids(self):
        """Its own and those of all that descend from it."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
        found = [self.child.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def cpu(self):
        """Seconds of processor that it has used, threads that ended included, in user and in kernel mode."""
        # A process's clock as clock_getcpuclockid(3) names it: ticks would tell hundredths of a second.
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in self.pids())

    def resident(self):
        """MB of memory it holds now."""
        return self._status("VmRSS")

    def peak(self):
        """MB of memory it held at most since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self):
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _status(self, key):
        kilobytes = 0
        for pid in self.pids():
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith(key + ":"))
        return kilobytes * 1024 / 1e6

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
