"""An SMTP server that delivers nothing: each mail becomes a file, whole at once, with its recipients, its subject and
its text. Takes the address, the port, a directory, and the name and password that it insists on."""

import email
import email.policy
import pathlib
import signal
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Sink:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.number = 0

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.number += 1
        lines = [
            "To: " + ", ".join(envelope.rcpt_tos),
            "From: " + str(mail["From"]),
            "Subject: " + str(mail["Subject"]),
            "Auto-Submitted: " + str(mail["Auto-Submitted"]),
            "",
            mail.get_content(),
        ]
        unfinished = self.directory / f".{self.number:04}"
        unfinished.write_text("\n".join(lines))
        unfinished.rename(self.directory / f"{self.number:04}.txt")
        return "250 OK"


def main():
    host, port, directory, name, password = sys.argv[1:]

    def authenticator(server, session, envelope, mechanism, data):
        good = data.login == name.encode() and data.password == password.encode()
        return AuthResult(success=good)

    controller = Controller(
        Sink(directory),
        hostname=host,
        port=int(port),
        authenticator=authenticator,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    print("the sink listens", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    controller.stop()


main()
