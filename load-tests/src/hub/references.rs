//! What the hub is measured against: a bare `send()` loop of ours, and nchan, Bun and node `ws` where they are installed.

use super::process;
use super::swarm::Opening;
use crate::record::say;
use crate::server::Failure;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A running reference: `GET /sub` is a WebSocket, `POST /pub` sends its body to all of them.
pub struct Reference {
    /// What it is.
    pub name: &'static str,
    /// `host:port`.
    pub address: String,
    process: Child,
    /// nginx works in children of its own.
    with_children: bool,
    _folder: tempfile::TempDir,
}

impl Reference {
    /// All that can be started here.
    pub async fn all() -> Result<Vec<Self>, Failure> {
        let mut started = Vec::new();
        for name in ["send()", "Bun", "node ws", "nchan"] {
            match Self::start(name).await {
                Ok(Some(reference)) => started.push(reference),
                Ok(None) => say!("{name}: not installed here, left out (load-tests/README.md says how to add it)"),
                Err(e) => say!("{name}: did not start: {e}"),
            }
        }
        Ok(started)
    }

    async fn start(name: &'static str) -> Result<Option<Self>, Failure> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("references");
        let mut command = match name {
            "send()" => {
                let mut own = Command::new(std::env::current_exe()?);
                own.args(["bare-send", &port.to_string()]);
                own
            }
            "Bun" => match found(&scripts.join("node_modules/.bin/bun"), "bun") {
                Some(bun) => script(bun, &scripts.join("bun.js"), port),
                None => return Ok(None),
            },
            "node ws" => match found(Path::new("/usr/bin/node"), "node") {
                Some(node) if scripts.join("node_modules/ws").is_dir() => script(node, &scripts.join("ws.mjs"), port),
                _ => return Ok(None),
            },
            _ => match nchan(folder.path(), port)? {
                Some(nginx) => nginx,
                None => return Ok(None),
            },
        };
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
        let address = format!("127.0.0.1:{port}");
        for _ in 0..200 {
            if TcpStream::connect(&address).await.is_ok() {
                return Ok(Some(Self { name, address, process, with_children: name == "nchan", _folder: folder }));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err("it does not listen".into())
    }

    /// How a socket of it begins.
    pub fn opening(&self) -> Opening {
        Opening { address: self.address.clone(), path: "/sub", says: Vec::new(), answers: 0 }
    }

    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        let Some(own) = self.process.id() else { return Vec::new() };
        let mut all = vec![own];
        if self.with_children {
            let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|p| p.parse::<u32>().ok()));
        }
        all
    }

    /// Sends an update to all.
    pub async fn publish(&self, body: &str) -> Result<(), Failure> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let request = format!(
            "POST /pub HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(())
    }

    /// Ends it.
    pub async fn stop(mut self) {
        for pid in self.pids() {
            let _ = Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status().await;
        }
        let _ = tokio::time::timeout(Duration::from_secs(3), self.process.wait()).await;
    }

    /// Processor time so far.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        process::cpu(&self.pids())
    }
}

fn found(here: &Path, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = vec![here.to_owned()];
    places.extend(std::env::split_paths(&path).map(|folder| folder.join(name)));
    places.into_iter().find(|p| p.is_file())
}

fn script(program: PathBuf, file: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.arg(file).arg(port.to_string());
    command
}

/// Debian's nginx with the nchan module.
fn nchan(folder: &Path, port: u16) -> Result<Option<Command>, Failure> {
    let module = Path::new("/usr/lib/nginx/modules/ngx_nchan_module.so");
    let Some(nginx) = found(Path::new("/usr/sbin/nginx"), "nginx").filter(|_| module.is_file()) else {
        return Ok(None);
    };
    let here = folder.display();
    let config = format!(
        "load_module {};\nuser root;\nworker_processes 1;\nworker_rlimit_nofile 19000;\ndaemon off;\npid {here}/pid;\nerror_log {here}/error.log;\n\
         events {{ worker_connections 18000; }}\nhttp {{ access_log off; client_body_temp_path {here}; proxy_temp_path {here}; \
         fastcgi_temp_path {here}; uwsgi_temp_path {here}; scgi_temp_path {here}; nchan_max_reserved_memory 256M; \
         server {{ listen 127.0.0.1:{port} backlog=4096; \
         location /sub {{ nchan_subscriber websocket; nchan_channel_id all; nchan_websocket_ping_interval 0; }} \
         location /pub {{ nchan_publisher; nchan_channel_id all; nchan_message_buffer_length 20; }} }} }}\n",
        module.display()
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config)?;
    let mut command = Command::new(nginx);
    command.arg("-c").arg(file);
    Ok(Some(command))
}

/// The least a server can do: one thread, one `send()` per socket and update.
pub async fn bare_send(port: u16) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let mut sockets: Vec<TcpStream> = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
        let body = loop {
            match stream.read(&mut buffer).await? {
                0 => break None,
                n => request.extend_from_slice(&buffer[..n]),
            }
            let text = String::from_utf8_lossy(&request);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.split("content-length: ").nth(1).and_then(|l| l.split("\r\n").next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break Some(body.to_owned());
            }
        };
        let Some(body) = body else { continue };
        if request.starts_with(b"GET") {
            stream
                .write_all(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
                .await?;
            sockets.push(stream);
            continue;
        }
        let frame = frame_of(&body);
        for socket in &sockets {
            let _ = socket.try_write(&frame);
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
    }
}

fn frame_of(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        n @ 0..=125 => frame.push(n as u8),
        n => {
            frame.push(126);
            frame.extend((n as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    frame
}
