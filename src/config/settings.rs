//! Everything in the main file that is neither provider, model, router nor key.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    catalog::settings::{
        Affinity, Failover, LatencySource, Limits, Log, LogFormat, LogLevel, PriceFeed,
        PriceFormat, Rescue, Settings, Timeouts, Tls,
    },
    config::{
        address::{self, Terms},
        classifier,
        fault::Place,
        secret::{Found, Reader, listener_file},
        source, tls,
        value::{Fields, Times, Value},
    },
};

/// The two listeners and where they are set.
pub(crate) struct Addresses<'a> {
    /// The data plane.
    pub(crate) listen: SocketAddr,
    /// The admin listener.
    pub(crate) admin: SocketAddr,
    /// Where `listen` stands; the mapping where it does not.
    pub(crate) listen_place: Place<'a>,
    /// Where `admin` stands; the mapping where it does not.
    pub(crate) admin_place: Place<'a>,
}

/// Reads `listen` and `admin`.
pub(crate) fn addresses<'a>(fields: &mut Fields<'a>) -> Addresses<'a> {
    let (listen, listen_place) = address(fields, "listen", 8080);
    let (admin, admin_place) = address(fields, "admin", 8081);
    let overlap =
        listen.ip() == admin.ip() || listen.ip().is_unspecified() || admin.ip().is_unspecified();
    if listen.port() != 0 && listen.port() == admin.port() && overlap {
        admin_place.fault("is the address of `listen` too; the two are never one listener");
    }
    Addresses { listen, admin, listen_place, admin_place }
}

fn address<'a>(fields: &mut Fields<'a>, key: &'static str, port: u16) -> (SocketAddr, Place<'a>) {
    let default = SocketAddr::from(([127, 0, 0, 1], port));
    let Some(value) = fields.take(key) else { return (default, fields.place.clone()) };
    let given = value.text().and_then(|text| match text.parse() {
        Ok(address) => Some(address),
        Err(_) => value.wrong("must be an IP address and a port, as in 127.0.0.1:8080"),
    });
    (given.unwrap_or(default), value.place)
}

/// Reads the rest; `timeouts` and `body_timeout` were read before the models.
pub(crate) fn read(
    fields: &mut Fields<'_>,
    addresses: &Addresses<'_>,
    limits_of_time: (Timeouts, Duration),
    world: &classifier::World<'_>,
) -> Settings {
    let (timeouts, body_timeout) = limits_of_time;
    let secrets = world.secrets;
    let max_body = fields.take("max_body").and_then(|value| value.size(&BODY)).unwrap_or(32 << 20);
    Settings {
        listen: addresses.listen,
        admin: addresses.admin,
        tls: fields.take("tls").and_then(|value| identity(&value, secrets)),
        classifier: fields.take("classifier").and_then(|v| classifier::read(&v, world)),
        latency: fields.take("latency").and_then(|value| latency(&value)),
        affinity: fields.take("affinity").and_then(|value| affinity(&value)).unwrap_or_default(),
        timeouts,
        body_timeout,
        failover: fields
            .take("failover")
            .map_or_else(Failover::default, |value| failover(&value, Failover::default())),
        max_body,
        limits: fields
            .take("limits")
            .and_then(|value| limits(&value, max_body))
            .unwrap_or_default(),
        drain: fields.duration("drain", Times::OrZero, Duration::from_secs(30)),
        log: fields.take("log").and_then(|value| log(&value)).unwrap_or_default(),
        prices: fields.take("prices").map(|value| feeds(&value, secrets)).unwrap_or_default(),
        upgrade_socket: fields
            .take("upgrade_socket")
            .and_then(|value| socket(&value, secrets.base)),
    }
}

const BODY: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 30;

/// Reads the file's `timeouts`: those of models, and the one of a caller's body.
pub(crate) fn file_timeouts(fields: &mut Fields<'_>) -> (Timeouts, Duration) {
    let body = Duration::from_mins(1);
    let Some(mut fields) = fields.take("timeouts").and_then(|value| value.fields()) else {
        return (Timeouts::default(), body);
    };
    let body = fields.duration("body", Times::Positive, body);
    let timeouts = time_limits(&mut fields, Timeouts::default());
    fields.finish();
    (timeouts, body)
}

/// Reads a model's `timeouts` over `base`.
pub(crate) fn timeouts(value: &Value<'_>, base: Timeouts) -> Timeouts {
    let Some(mut fields) = value.fields() else { return base };
    let timeouts = time_limits(&mut fields, base);
    fields.finish();
    timeouts
}

fn time_limits(fields: &mut Fields<'_>, base: Timeouts) -> Timeouts {
    let mut limit = |key, default| fields.duration(key, Times::Positive, default);
    Timeouts {
        connect: limit("connect", base.connect),
        first_token: limit("first_token", base.first_token),
        between_tokens: limit("between_tokens", base.between_tokens),
        response: limit("response", base.response),
        total: limit("total", base.total),
    }
}

/// Reads `failover` over `base`.
pub(crate) fn failover(value: &Value<'_>, base: Failover) -> Failover {
    let Some(mut fields) = value.fields() else { return base };
    let mut count = |key, range, default: u32| {
        u32::try_from(fields.integer(key, &range, default.into())).unwrap_or(default)
    };
    let attempts = count("attempts", 1..=100, base.attempts);
    let same_target = count("same_target", 0..=100, base.same_target);
    let wait = fields.duration("wait", Times::OrZero, base.wait);
    let rescue = fields
        .take("rescue")
        .and_then(|value| value.choice(&[("none", Rescue::None), ("continue", Rescue::Continue)]))
        .unwrap_or(base.rescue);
    fields.finish();
    Failover { attempts, same_target, wait, rescue }
}

fn identity(value: &Value<'_>, secrets: &Reader<'_>) -> Option<Tls> {
    let mut fields = value.fields()?;
    let cert = fields.require("cert").and_then(|v| secrets.path(&v).map(|path| (v, path)));
    let key = fields.require("key").and_then(|v| secrets.path(&v).map(|path| (v, path)));
    fields.finish();
    let ((cert_value, cert), (key_value, key)) = (cert?, key?);
    if secrets.reads {
        let chain = listener_file(&cert_value, &cert, false);
        let private = listener_file(&key_value, &key, true);
        if let Err(message) = tls::check_identity(&chain?, &private?) {
            value.fault(message);
        }
    }
    Some(Tls { cert, key })
}

fn latency(value: &Value<'_>) -> Option<LatencySource> {
    let mut fields = value.fields()?;
    let allow_private = fields.flag("allow_private");
    let terms = Terms { allow_private, query: false };
    let prometheus = fields.require("prometheus").and_then(|v| address::url(&v, terms));
    let query = fields.require("query").and_then(|value| value.prose());
    let label = match fields.take("label") {
        Some(value) => value.filled_text(),
        None => Some("model"),
    };
    let refresh = fields.duration("refresh", Times::Positive, Duration::from_mins(1));
    fields.finish();
    let (query, label) = (query?.to_owned(), label?.to_owned());
    Some(LatencySource { prometheus: prometheus?, query, label, refresh, allow_private })
}

/// The most bytes that the path of a socket may have, with room for the name of the admin listener's behind it.
const SOCKET_PATH: usize = 101;

fn socket(value: &Value<'_>, base: &Path) -> Option<PathBuf> {
    let path = source::join(base, value.path()?.as_ref());
    if path.as_os_str().len() > SOCKET_PATH {
        return value.wrong(format!(
            "is too long for a socket: {} is more than {SOCKET_PATH} bytes",
            path.display()
        ));
    }
    Some(path)
}

fn affinity(value: &Value<'_>) -> Option<Affinity> {
    let mut fields = value.fields()?;
    let Affinity { idle, capacity } = Affinity::default();
    let affinity = Affinity {
        idle: fields.duration("idle", Times::Positive, idle),
        capacity: fields.integer("capacity", &(1..=100_000_000), capacity),
    };
    fields.finish();
    Some(affinity)
}

fn limits(value: &Value<'_>, max_body: u64) -> Option<Limits> {
    let mut fields = value.fields()?;
    let default = Limits::default();
    let connections = fields.take("connections").and_then(|v| v.integer(&(1..=1_000_000)));
    let memory = fields.take("memory");
    fields.finish();
    let bytes = memory.as_ref().and_then(|value| value.size(&(1 << 20..=1 << 50)));
    if let Some(memory) = memory.filter(|_| bytes.is_some_and(|bytes| bytes < max_body)) {
        memory.fault("is less than `max_body`: the largest body could never be taken");
    }
    Some(Limits {
        connections: connections
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(default.connections),
        memory: bytes.unwrap_or(default.memory),
    })
}

fn log(value: &Value<'_>) -> Option<Log> {
    let mut fields = value.fields()?;
    let default = Log::default();
    let format = fields
        .take("format")
        .and_then(|value| value.choice(&[("json", LogFormat::Json), ("text", LogFormat::Text)]));
    let level = fields.take("level").and_then(|value| value.choice(&LEVELS));
    fields.finish();
    Some(Log { format: format.unwrap_or(default.format), level: level.unwrap_or(default.level) })
}

const LEVELS: [(&str, LogLevel); 4] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];

const FORMATS: [(&str, PriceFormat); 4] = [
    ("litellm", PriceFormat::LiteLlm),
    ("digitalocean", PriceFormat::DigitalOcean),
    ("models-dev", PriceFormat::ModelsDev),
    ("openrouter", PriceFormat::OpenRouter),
];

fn feeds(value: &Value<'_>, secrets: &Reader<'_>) -> Vec<PriceFeed> {
    value.items().unwrap_or_default().iter().filter_map(|item| feed(item, secrets)).collect()
}

fn feed(value: &Value<'_>, secrets: &Reader<'_>) -> Option<PriceFeed> {
    let mut fields = value.fields()?;
    let format = fields.require("format").and_then(|value| value.choice(&FORMATS));
    let allow_private = fields.flag("allow_private");
    let terms = Terms { allow_private, query: true };
    let url = fields.require("url").and_then(|value| address::url(&value, terms));
    let refresh = fields.duration("refresh", Times::Positive, Duration::from_hours(6));
    let api_key = fields.take("api_key").and_then(|value| secrets.secret(&value));
    fields.finish();
    let api_key = match api_key {
        Some(Found::Read(secret)) => Some(secret),
        Some(Found::Unread) | None => None,
    };
    Some(PriceFeed { format: format?, url: url?, refresh, allow_private, api_key })
}
