"""summary.py LOG USED FAILED ARCH: reads the JSON output of act, and prints each step as it ends, the output of failed steps, and
then the outcome of each job. Everything is also written to LOG. USED lists the stubs that jobs have used, FAILED exists if act has
failed, and ARCH is the architecture to which jobs for several architectures were restricted."""
import collections
import json
import pathlib
import re
import sys

log, used, failed, arch = sys.argv[1:]
END = 50  # lines of a failing step
ran, unsupported, output = {}, {}, collections.defaultdict(lambda: collections.deque(maxlen=END))


def say(line):
    print(line, flush=True)
    log_file.write(f"{line}\n")


def follow(line):
    try:
        entry = json.loads(line)
    except ValueError:
        say(line.rstrip())
        return
    text = entry.get("msg", "").rstrip()
    if "jobID" not in entry:
        if entry.get("level") in ("error", "fatal"):
            say(text)
        return
    job = f"{entry['job'].split('/')[0]}.{entry['jobID']}"
    cell = " ".join(str(value) for value in entry["matrix"].values())
    name = f"{job} ({cell})" if cell else job
    if "Skipping unsupported platform" in text:
        unsupported[job] = re.search(r"-P (.*?)=", text)[1]
    elif "jobResult" in entry:
        ran.setdefault(job, []).append(entry["jobResult"])
    elif entry.get("raw_output"):
        output[name].append(text)
        log_file.write(f"{name}: {text}\n")
    elif "stepResult" in entry and entry.get("stage") == "Main" and len(entry["stepID"]) == 1:
        step = entry["step"].split("\n")[0]
        seconds = entry.get("executionTime", 0) // 10**9
        if entry["stepResult"] == "failure":
            for printed in output[name]:
                print(f"    {printed}")
        say(f"{name}: {step}: {entry['stepResult']}, {seconds} s")
        output[name].clear()


def jobs_of(workflow):
    """The jobs of a workflow with their text."""
    text = pathlib.Path(f".github/workflows/{workflow}.yml").read_text().split("\njobs:\n")[1]
    parts = re.split(r"(?m)^  ([a-z-]+):\n", text)
    return dict(zip(parts[1::2], parts[2::2]))


def outcome(job, text):
    stubs = sorted({line.rstrip().split("\t")[1] for line in open(used) if line.startswith(f"{job}\t")})
    matrix = re.search(r"(?s)\n      matrix:\n(.*?)\n    [a-z]", text)
    others = {"x86_64", "arm64"} & set(re.findall(r"\w+", matrix[1] if matrix else "")) - {arch}
    rest = "".join(f"; cannot run here: {other}, which needs its own runner" for other in sorted(others))
    results = ran.get(job, [])
    if job in unsupported:
        return f"cannot run here: it needs {unsupported[job]}"
    if "failure" in results:
        return f"FAILED{rest}"
    if results and stubs:
        return f"ran on stubs ({', '.join(stubs)}){rest}"
    if results:
        return f"ran completely{rest}"
    return "did not run" if any("failure" in results for results in ran.values()) else None


with open(log, "w") as log_file:
    for line in sys.stdin:
        follow(line)
    say("\n== jobs")
    for workflow in sorted({job.split(".")[0] for job in [*ran, *unsupported]}):
        for job, text in jobs_of(workflow).items():
            job = f"{workflow}.{job}"
            if result := outcome(job, text):
                say(f"{job}: {result}")
    say(f"the log: {log}")
is_bad = pathlib.Path(failed).exists() or not ran and not unsupported
if is_bad or any("failure" in results for results in ran.values()):
    sys.exit("error: not every job that can run here has passed")
