//! Puts the sections together: from documents to a catalog.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    catalog::{Catalog, settings::Settings},
    config::{
        Fault, ListenerPlaces, LoadOptions, RouterSource,
        advised::TaskPlaces,
        classifier,
        fault::{Place, Report, Spot, member, shown_file},
        key, model, provider,
        raw::{self, Node},
        router,
        secret::{Environment, Reader},
        settings,
        source::{self, Ledger},
        task::Library,
        value::{Fields, Value},
    },
    ids::RouterName,
};

/// The router files of a main file that names none.
const DEFAULT_PATTERN: &str = "policies/*.yaml";

/// A file and what it says.
pub(crate) struct Document {
    /// Its name, as reports show it.
    file: String,
    /// Where it is.
    path: PathBuf,
    /// Its text; empty where it could not be read.
    text: Arc<str>,
    /// What it says; `None` where it could not be read to its end.
    root: Option<Node>,
}

/// What a configuration is read in.
pub(crate) struct Surroundings<'a> {
    /// The main file's folder.
    pub(crate) base: &'a Path,
    /// How it is loaded.
    pub(crate) options: &'a LoadOptions,
    /// The environment.
    pub(crate) environment: Environment<'a>,
    /// What is read from files.
    pub(crate) ledger: &'a Ledger,
}

impl Document {
    /// A text that is no file.
    pub(crate) fn of_text(name: &str, text: &str, report: &Report) -> Self {
        let root = raw::parse(name, text, report);
        Self { file: name.to_owned(), path: PathBuf::from(name), text: text.into(), root }
    }

    /// The main file.
    pub(crate) fn read_main(path: &Path, ledger: &Ledger, report: &Report) -> Self {
        match ledger.read(path) {
            Ok(bytes) => Self::of_bytes(path, bytes, report),
            Err(why) => {
                let unread = Self::unread(path);
                Place::whole(&unread.file, report).fault(why);
                unread
            }
        }
    }

    fn unread(path: &Path) -> Self {
        Self { file: shown_file(path), path: path.to_owned(), text: "".into(), root: None }
    }

    fn of_bytes(path: &Path, bytes: Vec<u8>, report: &Report) -> Self {
        let mut document = Self::unread(path);
        match source::text(bytes) {
            Ok(text) => {
                document.root = raw::parse(&document.file, &text, report);
                document.text = text.into();
            }
            Err((spot, message)) => {
                Place::whole(&document.file, report).at(spot).fault(message);
            }
        }
        document
    }

    /// The router that this file holds, if it is one that can be read.
    pub(crate) fn router(&self) -> Option<RouterSource> {
        let report = Report::default();
        let root = self.value(&report).filter(|root| !root.has("tasks"))?;
        let name = root.fields()?.take("name")?;
        let name = RouterName::parse(name.text()?).ok()?;
        Some(RouterSource { name, path: self.path.clone(), text: Arc::clone(&self.text) })
    }

    fn value<'a>(&'a self, report: &'a Report) -> Option<Value<'a>> {
        self.root.as_ref().map(|root| Value::root(&self.file, root, report))
    }
}

/// Reads the files that `routers` names, each once, and gives the patterns among them too.
///
/// Where the main file cannot be parsed, those of the default pattern are read, so that their mistakes are reported.
pub(crate) fn router_files(
    main: &Document,
    base: &Path,
    ledger: &Ledger,
    report: &Report,
) -> (Vec<Document>, Vec<PathBuf>) {
    let listed = main
        .value(report)
        .filter(|root| !root.is_null())
        .and_then(|root| root.fields()?.take("routers"))
        .map(|value| value.items().unwrap_or_default());
    let mut read = BTreeSet::new();
    let mut documents = Vec::new();
    let mut patterns = Vec::new();
    let mut matched = |pattern: PathBuf, documents: &mut Vec<Document>| {
        for path in ledger.matching(&pattern) {
            if read.insert(path.clone()) {
                documents.extend(matched_file(&path, ledger, report));
            }
        }
        patterns.push(pattern);
    };
    let mut named = Vec::new();
    if listed.is_none() {
        matched(source::join(base, Path::new(DEFAULT_PATTERN)), &mut documents);
    }
    for item in listed.unwrap_or_default() {
        let Some(text) = item.filled_text() else { continue };
        let path = source::join(base, Path::new(text));
        if source::is_pattern(text) {
            matched(path, &mut documents);
        } else {
            named.push((item, path));
        }
    }
    for (item, path) in named {
        if read.insert(path.clone()) {
            documents.push(named_file(&item, &path, ledger, report));
        }
    }
    if let Some(draft) = ledger.overlay().filter(|over| over.is_draft)
        && read.insert(draft.path.clone())
    {
        documents.extend(matched_file(&draft.path, ledger, report));
    }
    documents.sort_by(|a, b| a.file.cmp(&b.file));
    (documents, patterns)
}

/// A file that a pattern found; `None` where it has gone since.
fn matched_file(path: &Path, ledger: &Ledger, report: &Report) -> Option<Document> {
    match ledger.read(path) {
        Ok(bytes) => Some(Document::of_bytes(path, bytes, report)),
        Err(_) if ledger.has_gone(path) => None,
        Err(why) => {
            let unread = Document::unread(path);
            Place::whole(&unread.file, report).fault(why);
            Some(unread)
        }
    }
}

fn named_file(item: &Value<'_>, path: &Path, ledger: &Ledger, report: &Report) -> Document {
    match ledger.read(path) {
        Ok(bytes) => Document::of_bytes(path, bytes, report),
        Err(why) => {
            let unread = Document::unread(path);
            item.fault(format!("the file {} {why}", unread.file));
            unread
        }
    }
}

/// A catalog, and where what matters later is written.
pub(crate) struct Built {
    /// The catalog.
    pub(crate) catalog: Catalog,
    /// The settings that need a restart.
    pub(crate) listeners: ListenerPlaces,
    /// The tasks of routers.
    pub(crate) tasks: TaskPlaces,
}

/// The catalog, as far as the documents give one; every mistake is in the report.
pub(crate) fn catalog(
    main: &Document,
    routers: &[Document],
    surroundings: &Surroundings<'_>,
    report: &Report,
) -> Option<Built> {
    let secrets = Reader {
        base: surroundings.base,
        reads: surroundings.options.read_secrets,
        environment: surroundings.environment,
        ledger: surroundings.ledger,
    };
    let root = main.value(report);
    let mut fields =
        root.and_then(
            |root| {
                if root.is_null() { root.wrong("the file is empty") } else { root.fields() }
            },
        );
    let main = fields.as_mut().map(|fields| sections(fields, surroundings, &secrets));
    let roots: Vec<Value<'_>> = routers.iter().filter_map(|file| file.value(report)).collect();
    let complete = roots.len() == routers.len();
    let (libraries, roots): (Vec<_>, Vec<_>) =
        roots.into_iter().partition(|root| root.has("tasks"));
    let no_models = model::unknown();
    let models = main.as_ref().map_or(&no_models, |main| &main.models);
    let mut library = Library::built_in();
    for root in &libraries {
        library.extend(root, Some(models));
    }
    let failover = main.as_ref().map(|main| main.settings.failover).unwrap_or_default();
    let world = router::World { models, library: &library, failover };
    let (routers, tasks) = router::read(&roots, complete, &world);
    let keys = main.as_ref().map(|main| {
        let world = key::World { secrets: &secrets, routers: &routers, models };
        key::read(main.keys.as_ref(), &world)
    });
    if let Some(fields) = fields {
        fields.finish();
    }
    let (main, keys) = (main?, keys?);
    let catalog = Catalog {
        generation: 0,
        settings: main.settings,
        providers: main.providers.built,
        models: main.models.built,
        routers: routers.built,
        tasks: library.tasks,
        keys,
        admin_key: main.admin_key,
    };
    Some(Built { catalog, listeners: main.places, tasks })
}

/// The sections of the main file, its keys still to be read: they refer to routers.
struct Sections<'a> {
    settings: Settings,
    providers: provider::Providers,
    models: model::Models,
    keys: Option<Value<'a>>,
    admin_key: Option<crate::secret::SecretDigest>,
    places: ListenerPlaces,
}

fn sections<'a>(
    fields: &mut Fields<'a>,
    surroundings: &Surroundings<'_>,
    secrets: &Reader<'_>,
) -> Sections<'a> {
    // Read before, with the files that it names.
    fields.take("routers");
    let addresses = settings::addresses(fields);
    let keys = fields.take("keys");
    let has_keys = keys.as_ref().is_some_and(Value::is_filled);
    let admin_key = fields.take("admin_key");
    check_guarded(&addresses, has_keys, admin_key.is_some());
    let own = [addresses.listen, addresses.admin];
    let providers =
        provider::read(fields.require("providers"), &provider::World { secrets, own, has_keys });
    let limits_of_time = settings::file_timeouts(fields);
    let models = model::read(fields.require("models"), &providers, limits_of_time.0);
    let world = classifier::World {
        secrets,
        providers: &providers,
        program_folders: &surroundings.options.program_folders,
        must_exist: surroundings.options.find_classifier,
    };
    let settings = settings::read(fields, &addresses, limits_of_time, &world);
    let admin_key = admin_key.and_then(|value| key::digest(&value, secrets));
    let places = places(fields, &addresses);
    Sections { settings, providers, models, keys, admin_key, places }
}

/// Whoever can reach a listener from elsewhere must present a key.
fn check_guarded(addresses: &settings::Addresses<'_>, has_keys: bool, has_admin_key: bool) {
    if !addresses.listen.ip().is_loopback() && !has_keys {
        addresses.listen_place.fault("is not loopback, so `keys` are required");
    }
    if !addresses.admin.ip().is_loopback() && !has_admin_key {
        addresses.admin_place.fault("is not loopback, so `admin_key` is required");
    }
}

fn places(fields: &mut Fields<'_>, addresses: &settings::Addresses<'_>) -> ListenerPlaces {
    let tls = fields.take("tls").map(|value| value.place);
    let said = |place: &Place<'_>, key: &str| Fault {
        file: place.file.to_owned(),
        line: place.spot.line.max(Spot::START.line),
        column: place.spot.column.max(Spot::START.column),
        path: member("", key),
        message: "this change needs a restart".to_owned(),
    };
    ListenerPlaces {
        listen: said(&addresses.listen_place, "listen"),
        admin: said(&addresses.admin_place, "admin"),
        tls: said(tls.as_ref().unwrap_or(&fields.place), "tls"),
    }
}
