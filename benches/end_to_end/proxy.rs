//! What is measured: Pointsman, and whatever else of its kind is installed.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::load::Aim;

/// A proxy that runs until it is dropped.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    pub(crate) aim: Aim,
    child: Child,
    folder: PathBuf,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("pointsman-bench-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Proxy {
    /// Starts a program and waits until something listens at `address`; `None` where it does not.
    fn start(
        name: &'static str,
        command: &mut Command,
        (address, headers, folder): (SocketAddr, String, PathBuf),
        patience: Duration,
    ) -> Option<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = child.spawn().ok()?;
        let proxy = Self { name, aim: Aim { address, headers }, child, folder };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if started.elapsed() > patience {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Some(proxy)
    }

    /// Pointsman with one model at `upstream`, and `more` in its configuration; `None` where that does not start.
    pub(crate) fn pointsman(program: &Path, upstream: SocketAddr, more: &str) -> Option<Self> {
        let (address, admin, folder) = (free(), free(), folder("pointsman"));
        let config = folder.join("pointsman.yaml");
        let text = format!(
            "listen: {address}\nadmin: {admin}\nproviders:\n  up: {{api: openai-chat, base_url: \"http://{upstream}/v1\", allow_private: true}}\nmodels:\n  m: {{endpoints: [{{provider: up}}]}}\n{more}"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(&config);
        let place = (address, String::new(), folder);
        Self::start("pointsman", &mut command, place, Duration::from_secs(20))
    }

    /// nginx as a plain reverse proxy with kept connections; `None` where it is not installed.
    pub(crate) fn nginx(upstream: SocketAddr) -> Option<Self> {
        let (address, folder) = (free(), folder("nginx"));
        let config = folder.join("nginx.conf");
        let text = format!(
            "daemon off; master_process off; error_log /dev/null; pid {0}/pid;
             events {{ worker_connections 4096; }}
             http {{
               access_log off; keepalive_requests 100000000; client_body_temp_path {0}; proxy_temp_path {0};
               fastcgi_temp_path {0}; uwsgi_temp_path {0}; scgi_temp_path {0}; tcp_nodelay on;
               upstream up {{ server {upstream}; keepalive 256; keepalive_requests 100000000; }}
               server {{
                 listen {address};
                 location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }}
               }}
             }}",
            folder.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&folder).arg("-c").arg(&config);
        let place = (address, String::new(), folder);
        Self::start("nginx", &mut command, place, Duration::from_secs(10))
    }

    /// `LiteLLM`, where `make peers` has brought it.
    pub(crate) fn litellm(upstream: SocketAddr) -> Option<Self> {
        let program = root().join(".tools/litellm/bin/litellm");
        program.exists().then_some(())?;
        let (address, folder) = (free(), folder("litellm"));
        let config = folder.join("config.yaml");
        let text = format!(
            "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/up, api_base: \"http://{upstream}/v1\", api_key: sk-bench}}\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        command
            .args(["--host", "127.0.0.1", "--num_workers", "1", "--port"])
            .arg(address.port().to_string())
            .arg("--config")
            .arg(&config)
            .envs([
                ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
                ("LITELLM_LOG", "ERROR"),
                ("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true"),
            ]);
        let place = (address, String::new(), folder);
        Self::start("litellm", &mut command, place, Duration::from_secs(90))
    }

    /// Portkey's gateway, where `make peers` has brought it.
    pub(crate) fn portkey(upstream: SocketAddr) -> Option<Self> {
        let script =
            root().join(".tools/portkey/node_modules/@portkey-ai/gateway/build/start-server.js");
        script.exists().then_some(())?;
        let (address, folder) = (free(), folder("portkey"));
        let mut command = Command::new("node");
        command.arg(script).arg(format!("--port={}", address.port())).arg("--headless");
        let headers = format!(
            "x-portkey-provider: openai\r\nx-portkey-custom-host: http://{upstream}/v1\r\n"
        );
        Self::start("portkey", &mut command, (address, headers, folder), Duration::from_mins(1))
    }

    /// Processor time of the proxy's processes so far, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        // User and system time are the fields 14 and 15 of `stat`, in hundredths of a second on Linux.
        let ticks = |stat: String| {
            let after_name = stat.rsplit(')').next()?.to_owned();
            let mut fields = after_name.split_whitespace().skip(11);
            Some(fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?)
        };
        self.processes()
            .iter()
            .filter_map(|id| ticks(fs::read_to_string(format!("/proc/{id}/stat")).ok()?))
            .sum::<f64>()
            / 100.0
    }

    /// Resident memory of the proxy's processes, in MiB.
    pub(crate) fn memory(&self) -> f64 {
        let resident = |status: String| {
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?.to_owned();
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        };
        self.processes()
            .iter()
            .filter_map(|id| resident(fs::read_to_string(format!("/proc/{id}/status")).ok()?))
            .sum::<f64>()
            / 1024.0
    }

    /// The process and its children.
    fn processes(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let children = children.unwrap_or_default();
        std::iter::once(own)
            .chain(children.split_whitespace().filter_map(|id| id.parse().ok()))
            .collect()
    }
}
