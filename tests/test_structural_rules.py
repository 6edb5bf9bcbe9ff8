"""Other spellings of what the structural rules are about, through the command line.

The recordings prove each rule once or twice; these rows say the same in the other ways that
systems and people have, and the honest neighbours that a company sees every day. Each row is on a
host of its own, so that findings tell which rows fired. All rows are invented.
"""

from __future__ import annotations

import json

import pytest
from kit import line

from molehunt.cli import main

Row = tuple[str, dict[str, str]]


def process(path: str, cmdline: str, system: str = "linux") -> Row:
    """A running process."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    columns = {"pid": "77", "name": name, "path": path, "cmdline": cmdline, "cwd": "/"}
    columns |= {"parent": "70", "uid": "1000", "username": "ana"}
    columns |= {"parent_path": "/usr/bin/bash", "parent_cmdline": "-bash"}
    return f"pack_molehunt_processes_{system}", columns


def started(path: str, cmdline: str, parent: str = "/usr/bin/bash") -> Row:
    """A process that Linux audit saw start."""
    columns = {"pid": "77", "path": path, "cmdline": cmdline, "cwd": '"/"', "parent": "70"}
    columns |= {"uid": "1000", "username": "ana", "parent_path": parent, "parent_cmdline": "-"}
    return "pack_molehunt_process_events", columns | {"syscall": "execve", "time": "1795429300"}


def started_on_windows(path: str, cmdline: str) -> Row:
    """A process that Windows saw start."""
    columns = {"pid": "77", "path": path, "cmdline": cmdline, "ppid": "70", "username": "sam"}
    columns |= {"parent_path": "C:\\Windows\\explorer.exe", "parent_cmdline": "-"}
    columns |= {"mandatory_label": "", "type": "ProcessStart", "time": "1795429300"}
    return "pack_molehunt_process_etw_events", columns


def route(
    destination: str, netmask: str, interface: str, system: str = "linux", **more: str
) -> Row:
    """A route; `more` sets other columns."""
    columns = {"destination": destination, "netmask": netmask, "gateway": "", "source": ""}
    columns |= {"flags": "0", "interface": interface, "metric": "0", "type": "gateway"}
    return f"pack_molehunt_routes_{system}", columns | more


def listener(port: str, address: str, path: str, cmdline: str, protocol: str = "6") -> Row:
    """A listening port."""
    columns = {"port": port, "protocol": protocol, "family": "2", "address": address, "pid": "77"}
    columns |= {"process_name": "x", "process_path": path, "process_cmdline": cmdline}
    return "pack_molehunt_listening_ports_linux", columns


def extension(permissions: str, name: str = "Fast VPN") -> Row:
    """A browser extension."""
    columns = {"username": "ana", "uid": "1000", "browser_type": "brave", "profile": "Default"}
    columns |= {"identifier": "a" * 32, "name": name, "version": "1", "permissions": permissions}
    columns |= {"from_webstore": "true", "update_url": "", "state": "1"}
    return "pack_molehunt_chrome_extensions_linux", columns


WIDE = "Route For A Large Part Of The Internet"
DEFAULT = "Default Route Into A Tunnel"
TUNNEL = "Suspicious Remote Control Port Behind A Public Tunnel"
REVERSE = "Potential Remote Control Over SSH Reverse Tunnel On Windows And macOS"
BROWSER = "Browser Started With A Proxy Of Its Own"
OPEN = "Proxy Port Open To The Network"
SOCKS = "SSH Client Serves As SOCKS Proxy"
STREAM = "Screen Streamed To The Network By Command"
SCRIPT = "Script Named For Keeping A User Present"
LOOP = "Potential Presence Faking By PowerShell, Python Or NirCmd Loop"
DISGUISE = "Virtual Camera Under The Name Of A Real One On Linux"
EXTENSION = "Browser Extension That Can Set The Proxy"
SCAN = "Scan Of The Local Network By ARP"
EDGE = "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe"
SHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"

FIRING: list[tuple[str, Row]] = [
    # WireGuard with its list of everything but private networks
    (WIDE, route("64.0.0.0", "2", "wg0")),
    (WIDE, route("11.0.0.0", "7", "utun7", "darwin", type="static")),
    (WIDE, route("128.0.0.0", "1", "10.6.0.2", "windows", type="remote")),
    (DEFAULT, route("0.0.0.0", "0", "tailscale0")),
    (DEFAULT, route("0.0.0.0", "0", "ppp0", "darwin", type="gateway")),
    (TUNNEL, process("/snap/ngrok/1/ngrok", "/snap/ngrok/1/ngrok tcp localhost:22 --log stdout")),
    (TUNNEL, process("C:\\t\\ngrok.exe", "ngrok.exe tcp --region=eu 3389", "windows")),
    (TUNNEL, process("/usr/bin/ssh", "ssh -R 0:127.0.0.1:22 serveo.net")),
    (TUNNEL, process("/usr/bin/ssh", "ssh nokey@localhost.run -R 80:localhost:5900")),
    (TUNNEL, process("/opt/cf", "cloudflared tunnel --no-autoupdate --url=tcp://127.0.0.1:5901")),
    (TUNNEL, process("/home/a/chisel", "./chisel client 198.51.100.9:443 R:2222:127.0.0.1:22")),
    (TUNNEL, process("C:\\t\\devtunnel.exe", "devtunnel.exe host -p 3389", "windows")),
    (REVERSE, process("/usr/bin/ssh", "ssh -fNR :2222:localhost:22 u@h.example", "darwin")),
    (REVERSE, process("C:\\a\\plink.exe", "plink.exe -R 1:[::1]:3389 u@h.example", "windows")),
    (BROWSER, process("/usr/bin/brave-browser", "brave --proxy-server=http://203.0.113.4:80")),
    (BROWSER, process(EDGE, f'"{EDGE}" --proxy-pac-url="file:///c:/p.pac"', "windows")),
    (OPEN, listener("10808", "::", "/opt/v2raya/xray", "xray run")),
    (OPEN, listener("1080", "192.168.1.40", "/usr/sbin/danted", "danted -D")),
    (SOCKS, listener("9999", "127.0.0.1", "/usr/bin/ssh", "ssh -qTfnND 9999 h.example")),
    (SOCKS, listener("9999", "127.0.0.1", "/usr/bin/ssh", "ssh -o DynamicForward=9999 h.example")),
    (STREAM, process("/usr/bin/cvlc", "vlc -I dummy screen:// --sout #rtp{sdp=rtsp://:8554/s}")),
    (
        STREAM,
        process(
            "C:\\f\\ffmpeg.exe", "ffmpeg -f lavfi -i ddagrab -f flv rtmp://h.example/", "windows"
        ),
    ),
    (SCRIPT, process("/usr/bin/python3", "python3 -u ./anti-idle.py")),
    (SCRIPT, process(SHELL, "powershell -File C:\\u\\Keep-Me-Awake.ps1", "windows")),
    (SCRIPT, process("/usr/local/bin/python3.12", "python3.12 mouse-mover/mouse_mover.py")),
    (LOOP, started_on_windows(SHELL, "pwsh do{$w.SendKeys('{SCROLLLOCK}');sleep 60}while(1)")),
    (LOOP, started_on_windows(SHELL, "1..9999|%{$w.SendKeys('{NUMLOCK}');Start-Sleep 9}")),
    (DISGUISE, started("/usr/sbin/insmod", "insmod ./v4l2loopback.ko card_label='Logitech BRIO'")),
    (EXTENSION, extension("proxy")),
    (EXTENSION, extension("storage, <all_urls>, proxy, tabs", "Unblock Sites")),
    (SCAN, started("/usr/bin/nmap", "nmap -PR -n 192.168.8.1-254")),
]

QUIET: list[Row] = [
    route("10.0.0.0", "8", "tun0"),
    route("0.0.0.0", "0", "eth0"),
    route("0.0.0.0", "0", "en0", "darwin", type="gateway"),
    route("255.255.255.255", "32", "192.168.1.9", "windows", type="remote"),
    route("224.0.0.0", "4", "127.0.0.1", "windows", type="local"),
    route("2000::", "3", "eth0"),
    process("/usr/bin/ngrok", "ngrok http 8022"),
    process("/usr/bin/ngrok", "ngrok http --domain=a.example 22000"),
    process("/usr/bin/cloudflared", "cloudflared tunnel run --token abc"),
    process("/usr/bin/cloudflared", "cloudflared access ssh --hostname ssh.corp.example"),
    process("/usr/bin/ssh", "ssh -p 22 git@code.corp.example"),
    process("/usr/bin/ssh", "ssh -R 8080:localhost:3000 h.example", "darwin"),
    process("/usr/bin/ssh", "ssh -L 2222:db.corp.example:22 jump.corp.example", "darwin"),
    process(EDGE, f'"{EDGE}" --no-first-run https://corp.example/?a=--proxy', "windows"),
    process("/usr/lib/slack/slack", "slack --proxy-server=proxy.corp.example:3128"),
    listener("3000", "0.0.0.0", "/usr/bin/node", "node server.js"),
    listener("1080", "0.0.0.0", "/usr/bin/node", "node node_modules/.bin/vite --port 1080"),
    listener("631", "127.0.0.1", "/usr/sbin/cupsd", "cupsd -l"),
    listener("8000", "127.0.0.1", "/usr/bin/ssh", "ssh -L 8000:localhost:80 h.example"),
    process("/usr/bin/ffmpeg", "ffmpeg -i rtsp://192.168.1.20/cam out.mp4"),
    process("/usr/bin/python3", "python3 manage.py runserver"),
    process("/usr/bin/bash", "bash ./wait_for_db.sh --keepalive 30"),
    process("/usr/bin/node", "node ./dist/sleep.js"),
    started_on_windows(SHELL, "powershell for($i=0;$i -lt 9;$i++){Restart-Service x; sleep 5}"),
    started("/usr/sbin/modprobe", "modprobe v4l2loopback video_nr=9"),
    extension("proxyHelper, storage"),
    extension("storage, tabs"),
    started("/usr/bin/nmap", "nmap -sn gw.corp.example"),
    started("/usr/bin/nmap", "nmap --version"),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Titles of the rules that fired, by host."""
    folder = tmp_path_factory.mktemp("structural")
    rows = [(f"fires-{n}", row) for n, (_, row) in enumerate(FIRING)]
    rows += [(f"quiet-{n}", row) for n, row in enumerate(QUIET)]
    log = folder / "osqueryd.results.log"
    log.write_bytes(
        b"\n".join(line(cols, name, hostIdentifier=host) for host, (name, cols) in rows) + b"\n"
    )
    report = folder / "found.json"
    main(["hunt", str(log), "--format", "json", "--output", str(report)])
    titles: dict[str, set[str]] = {host: set() for host, _ in rows}
    for finding in json.loads(report.read_text(encoding="utf-8"))["findings"]:
        for host in finding["hosts"]:
            titles[host["id"]].add(finding["title"])
    return titles


@pytest.mark.parametrize("number", range(len(FIRING)))
def test_other_spellings_are_found(found: dict[str, set[str]], number: int) -> None:
    """Each row makes its rule fire."""
    title, row = FIRING[number]
    assert title in found[f"fires-{number}"], row


@pytest.mark.parametrize("number", range(len(QUIET)))
def test_honest_neighbours_stay_quiet(found: dict[str, set[str]], number: int) -> None:
    """None of these rules fires on what honest machines have."""
    mine = {WIDE, DEFAULT, TUNNEL, REVERSE, BROWSER, OPEN, SOCKS, STREAM, SCRIPT, LOOP}
    mine |= {DISGUISE, EXTENSION, SCAN}
    assert not found[f"quiet-{number}"] & mine, QUIET[number]
