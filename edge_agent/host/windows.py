"""Windows 10 and later: the shell's associations, the Start menu, PowerShell and the registry.

Not run by the project on Windows; written from Microsoft's documentation and tested with faked programs.
Texts reach PowerShell on standard input, never as part of a script.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import ToolError
from .local import LocalHost, best_name, openable, percentage
from .programs import Runner

THEME = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"

# Windows has no program that sets the volume: this reaches Core Audio's IAudioEndpointVolume through COM.
# The unnamed methods keep the interface's slots in order.
AUDIO = """
Add-Type -TypeDefinition @'
using System;
using System.Runtime.InteropServices;
[Guid("5CDF2C82-841E-4546-9722-0CF74078229A"), InterfaceType(ComInterfaceType.InterfaceIsIUnknown)]
interface IAudioEndpointVolume {
  int a(); int b(); int c(); int d();
  int SetMasterVolumeLevelScalar(float level, Guid context);
  int e();
  int GetMasterVolumeLevelScalar(out float level);
  int f(); int g(); int h(); int i();
  int SetMute([MarshalAs(UnmanagedType.Bool)] bool mute, Guid context);
  int GetMute([MarshalAs(UnmanagedType.Bool)] out bool mute);
}
[Guid("D666063F-1587-4E43-81F1-B948E807363F"), InterfaceType(ComInterfaceType.InterfaceIsIUnknown)]
interface IMMDevice {
  int Activate(ref Guid id, int context, int parameters, out IAudioEndpointVolume volume);
}
[Guid("A95664D2-9614-4F35-A746-DE8DB63617E6"), InterfaceType(ComInterfaceType.InterfaceIsIUnknown)]
interface IMMDeviceEnumerator {
  int a();
  int GetDefaultAudioEndpoint(int flow, int role, out IMMDevice device);
}
[ComImport, Guid("BCDE0395-E52F-467C-8E3D-C4579291692E")] class Enumerator { }
public class Audio {
  static IAudioEndpointVolume Output() {
    IMMDevice device; IAudioEndpointVolume volume; Guid id = typeof(IAudioEndpointVolume).GUID;
    var all = (IMMDeviceEnumerator)(object)new Enumerator();
    Marshal.ThrowExceptionForHR(all.GetDefaultAudioEndpoint(0, 1, out device));
    Marshal.ThrowExceptionForHR(device.Activate(ref id, 23, 0, out volume));
    return volume;
  }
  public static int Get() {
    float level; bool mute; var output = Output();
    Marshal.ThrowExceptionForHR(output.GetMasterVolumeLevelScalar(out level));
    Marshal.ThrowExceptionForHR(output.GetMute(out mute));
    return mute ? 0 : (int)Math.Round(level * 100);
  }
  public static void Set(int percent) {
    var output = Output();
    Marshal.ThrowExceptionForHR(output.SetMasterVolumeLevelScalar(percent / 100f, Guid.Empty));
    Marshal.ThrowExceptionForHR(output.SetMute(percent == 0, Guid.Empty));
  }
}
'@
"""

SCREEN = """
Add-Type -AssemblyName System.Windows.Forms, System.Drawing
$area = [Windows.Forms.SystemInformation]::VirtualScreen
$image = New-Object Drawing.Bitmap $area.Width, $area.Height
[Drawing.Graphics]::FromImage($image).CopyFromScreen($area.Location, [Drawing.Point]::Empty, $area.Size)
$stream = New-Object IO.MemoryStream
$image.Save($stream, [Drawing.Imaging.ImageFormat]::Png)
[Convert]::ToBase64String($stream.ToArray())
"""

BALLOON = """
[Console]::InputEncoding = [Text.Encoding]::UTF8
$title = [Console]::In.ReadLine(); $body = [Console]::In.ReadToEnd()
Add-Type -AssemblyName System.Windows.Forms, System.Drawing
$icon = New-Object Windows.Forms.NotifyIcon
$icon.Icon = [Drawing.SystemIcons]::Information; $icon.Visible = $true
$icon.ShowBalloonTip(5000, $title, $body, [Windows.Forms.ToolTipIcon]::None)
Start-Sleep -Seconds 5; $icon.Dispose()
"""

PASTE = "[Console]::OutputEncoding = [Text.Encoding]::UTF8; [Console]::Out.Write((Get-Clipboard -Raw))"
COPY = "[Console]::InputEncoding = [Text.Encoding]::UTF8; Set-Clipboard -Value ([Console]::In.ReadToEnd())"
CLEAR = "Add-Type -AssemblyName System.Windows.Forms; [Windows.Forms.Clipboard]::Clear()"
LIGHT = "(Get-CimInstance -Namespace root/WMI -ClassName WmiMonitorBrightness).CurrentBrightness"
SET_LIGHT = (
    "Get-CimInstance -Namespace root/WMI -ClassName WmiMonitorBrightnessMethods | Invoke-CimMethod "
    "-MethodName WmiSetBrightness -Arguments @{{Timeout = [uint32]0; Brightness = [byte]{percent}}}"
)


class WindowsHost(LocalHost):
    """startfile: `os.startfile`, which opens a file or URL as a double click would."""

    def __init__(
        self,
        runner: Runner | None = None,
        env: Mapping[str, str] | None = None,
        home: Path | None = None,
        *,
        startfile: Callable[[str], None],
    ) -> None:
        super().__init__(runner, env, home)
        self.startfile = startfile

    def open(self, target: str) -> None:
        self._start(openable(target))

    def notify(self, title: str, body: str) -> None:
        self._feed(BALLOON, f"{title.replace(chr(10), ' ')}\n{body}")

    def clipboard_get(self) -> str:
        return self._shell(PASTE)

    def clipboard_set(self, text: str) -> None:
        self._feed(COPY if text else CLEAR, text)  # Set-Clipboard refuses an empty text

    def volume_get(self) -> int:
        return int(self._shell(f"{AUDIO}[Audio]::Get()"))

    def volume_set(self, percent: int) -> None:
        self._shell(f"{AUDIO}[Audio]::Set({percentage(percent)})")

    def brightness_get(self) -> int:
        said = self._shell(LIGHT).split()
        if not said:
            raise ToolError("no screen here has a brightness that Windows can read")
        return int(said[0])

    def brightness_set(self, percent: int) -> None:
        self._shell(SET_LIGHT.format(percent=percentage(percent)))

    def dark_mode_get(self) -> bool:
        said = self.runner.read(["reg", "query", THEME, "/v", "AppsUseLightTheme"]).decode(errors="replace")
        return re.search(r"0x0\b", said) is not None

    def dark_mode_set(self, on: bool) -> None:
        light = "0" if on else "1"
        for value in ("AppsUseLightTheme", "SystemUsesLightTheme"):
            self.runner.read(["reg", "add", THEME, "/v", value, "/t", "REG_DWORD", "/d", light, "/f"])

    def screenshot(self) -> bytes:
        return base64.b64decode(self._shell(SCREEN))

    def launch(self, program: str) -> str:
        links = self._start_menu()
        name = best_name(program, dict.fromkeys(links, ""))
        self._start(str(links[name]))
        return name

    def _start_menu(self) -> dict[str, Path]:
        roots = [Path(self.env[key]) for key in ("ProgramData", "APPDATA") if key in self.env]
        menu = "Microsoft/Windows/Start Menu/Programs"
        return {link.stem: link for root in roots for link in sorted((root / menu).rglob("*.lnk"))}

    def _start(self, target: str) -> None:
        try:
            self.startfile(target)
        except OSError as error:
            raise ToolError(f"Windows could not open {target}: {error.strerror or error}") from error

    def _shell(self, script: str) -> str:
        return self.runner.read(_powershell(script), timeout_s=20).decode(errors="replace").removeprefix("\ufeff")

    def _feed(self, script: str, text: str) -> None:
        self.runner.feed(_powershell(script), text.encode(), timeout_s=20)


def _powershell(script: str) -> list[str]:
    strict = f"$ErrorActionPreference = 'Stop'\n{script}"
    return ["powershell", "-NoProfile", "-NonInteractive", "-Command", strict]
