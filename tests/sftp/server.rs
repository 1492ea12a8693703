//! A real OpenSSH server for one test: chrooted internal-sftp on loopback, with keys, configuration and folders of its own.
//!
//! It needs root (a chroot does), `/usr/sbin/sshd`, `sftp` and `useradd`: on Debian, packages openssh-server, openssh-client
//! and passwd. Without them the test fails and says so.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const SSHD: &str = "/usr/sbin/sshd";
const USER: &str = "postern-sftp";
const NEEDED: &str =
    "this test runs a real OpenSSH server: run it as root on a machine with `apt-get install openssh-server openssh-client passwd`";

/// Tests of one binary run side by side; the user is made once.
static MAKING_THE_USER: Mutex<()> = Mutex::new(());

/// The running server. Dropping it ends it and removes its folders.
pub(crate) struct Server {
    process: Child,
    port: u16,
    root: tempfile::TempDir,
}

impl Server {
    /// Starts a server whose user sees `/in` and `/out`.
    pub(crate) fn start() -> Self {
        let root_user = rustix::process::geteuid().is_root();
        assert!(root_user && Path::new(SSHD).exists() && runs("sftp", &["-h"]) && runs("ssh-keygen", &["-?"]), "{NEEDED}");
        make_user();
        fs::create_dir_all("/run/sshd").unwrap();

        // sshd wants every folder above a chroot to belong to root and to be writable by nobody else, which /tmp is not.
        let root = tempfile::Builder::new().prefix("postern-sftp-").tempdir_in("/var/lib").unwrap();
        let path = |name: &str| root.path().join(name);
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        for folder in ["chroot", "chroot/in", "chroot/out", "local"] {
            fs::create_dir(path(folder)).unwrap();
            fs::set_permissions(path(folder), Permissions::from_mode(0o755)).unwrap();
        }
        for folder in ["chroot/in", "chroot/out"] {
            succeed(Command::new("chown").arg(USER).arg(path(folder)));
        }
        for key in ["host", "user"] {
            succeed(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key)));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host_key = fs::read_to_string(path("host.pub")).unwrap();
        fs::write(path("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
        let root_text = root.path().display();
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {root_text}/host\nPidFile none\nAuthorizedKeysFile {root_text}/user.pub\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nAllowUsers {USER}\nMaxStartups 100\n\
             AllowTcpForwarding no\nX11Forwarding no\nChrootDirectory {root_text}/chroot\nForceCommand internal-sftp\n\
             Subsystem sftp internal-sftp\nLogLevel VERBOSE\n"
        );
        fs::write(path("sshd_config"), configuration).unwrap();
        let log = File::create(path("sshd.log")).unwrap();
        let process =
            Command::new(SSHD).args(["-D", "-e", "-f"]).arg(path("sshd_config")).stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let mut server = Self { process, port, root };
        server.await_listening();
        server
    }

    /// The user's `/in`, as the gateway sees it.
    pub(crate) fn inbound(&self) -> PathBuf {
        self.root.path().join("chroot/in")
    }

    /// A folder on the same file system that the user does not see.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Makes a file on the sender's side and gives its path.
    pub(crate) fn local(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.root.path().join("local").join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Runs `commands` in one SFTP session, with further `arguments` for the client, and expects success.
    pub(crate) fn sftp(&self, arguments: &[&str], commands: &str) {
        self.expect(self.begin(arguments, commands));
    }

    /// Starts a session and leaves it running.
    pub(crate) fn begin(&self, arguments: &[&str], commands: &str) -> Client {
        let path = |name: &str| self.root.path().join(name).display().to_string();
        let mut client = Command::new("sftp")
            .args(["-q", "-F", "/dev/null", "-P", &self.port.to_string(), "-i", &path("user")])
            .args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes"])
            .args(["-o", &format!("UserKnownHostsFile={}", path("known_hosts"))])
            .args(arguments)
            .args(["-b", "-", &format!("{USER}@127.0.0.1")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
        Client(client)
    }

    /// Waits for the client, and fails with what it and the server said unless it succeeded.
    pub(crate) fn expect(&self, mut client: Client) {
        let mut said = String::new();
        client.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = client.0.wait().unwrap();
        let log = fs::read_to_string(self.root.path().join("sshd.log")).unwrap_or_default();
        assert!(status.success(), "{said}\n{log}");
    }

    fn await_listening(&mut self) {
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.try_wait().unwrap();
            let log = fs::read_to_string(self.root.path().join("sshd.log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < end, "sshd does not listen: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A running SFTP client. Dropping it cuts its session off.
pub(crate) struct Client(Child);

impl Client {
    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Sessions end with their clients, which the tests have waited for; this is the listener.
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

fn make_user() {
    let _making = MAKING_THE_USER.lock().unwrap();
    if !runs("id", &[USER]) {
        // Password `*`: no password fits, but unlike `!` the account is not locked, which sshd would refuse.
        let made = Command::new("useradd")
            .args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--password", "*", USER])
            .output()
            .expect(NEEDED);
        assert!(made.status.success() || runs("id", &[USER]), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

/// Whether the program is there and, for `id`, succeeds; usage errors of others count as being there.
fn runs(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| program != "id" || status.success())
}

fn succeed(command: &mut Command) {
    let output = command.output().expect(NEEDED);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
