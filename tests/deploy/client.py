"""client.py serve SOCKET: serves calls of the aws client, so that its modules are loaded only once.
client.py call SOCKET WORD...: makes a call, which runs in a separate process with the environment, directory and standard files of
this one."""
import json
import os
import signal
import socket
import sys

END = b"\n"


def serve(listener):
    from awscli import clidriver

    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            status = answer(connection, clidriver)
            sys.stdout.flush()
            sys.stderr.flush()
            try:
                connection.sendall(bytes([status]))
            finally:
                os._exit(status)
        connection.close()


def answer(connection, clidriver):
    message, files, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while not message.endswith(END):
        more = connection.recv(1 << 16)
        if not more:
            return 1
        message += more
    call = json.loads(message)
    # The client sets this variable while it is loaded.
    own = {name: os.environ[name] for name in ["AWS_DATA_PATH"]}
    os.environ.clear()
    os.environ.update(call["environment"] | own)
    os.chdir(call["directory"])
    for number, file in enumerate(files):
        os.dup2(file, number)
    sys.argv = ["aws", *call["words"]]
    try:
        return clidriver.main()
    except SystemExit as end:
        return int(end.code or 0)


def call(connection, words):
    call = {"words": words, "environment": dict(os.environ), "directory": os.getcwd()}
    socket.send_fds(connection, [json.dumps(call).encode() + END], [0, 1, 2])
    status = connection.recv(1)
    return status[0] if status else 1


command, path, *words = sys.argv[1:]
local = socket.socket(socket.AF_UNIX)
if command == "serve":
    local.bind(path)
    serve(local)
local.connect(path)
sys.exit(call(local, words))
