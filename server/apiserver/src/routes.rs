//! The URLs: the one place that knows which there are.
//!
//! ```text
//! /api/v1/PLURAL[/NAME[/SUBRESOURCE]]                      the core group, cluster-wide
//! /api/v1/namespaces/NAMESPACE/PLURAL[/NAME[/SUBRESOURCE]] in a namespace
//! /apis/GROUP/VERSION/…                                    the same for other groups
//! /api/v1/watch/…                                          the same, watched (deprecated)
//! /api /apis /apis/GROUP /apis/GROUP/VERSION /api/v1       discovery
//! /openapi/v3[/…]  /version  /livez /readyz /healthz[/CHECK]  /metrics  /
//! ```

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use api::auth::UserInfo;
use api::kind::{Kind, Part, Resource, Scope};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{CACHE_CONTROL, WARNING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;

use crate::access::{acting, permit, permit_path};
use crate::app::App;
use crate::call::Call;
use crate::error::{Error, Result};
use crate::negotiate::{self, Form, Shape};
use crate::query::Query;
use crate::{body, discovery, handlers, health, openapi, respond, subresources, version};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// The service: every URL of [this module](self).
pub(crate) fn router(app: Arc<App>) -> axum::Router {
    axum::Router::new().fallback(serve).with_state(app)
}

/// Answers a request. A panic on the way is an answer as well: 500.
async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    let started = Instant::now();
    let (parts, mut body) = request.into_parts();
    let query = Query::parse(parts.uri.query());
    let audit = parts.headers.get(&AUDIT_ID).cloned();
    let plain = Form::of(&parts.headers, &query, negotiate::PLAIN);
    let plain = plain.unwrap_or_else(|_| Form::plain());
    let target = Target::parse(parts.uri.path());
    let labels = crate::metrics::Labels::of(&parts.method, &target, &query);
    let answer = route(&app, parts, query, &mut body, target);
    let answer = std::panic::AssertUnwindSafe(answer).catch_unwind().await;
    let mut response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => respond::error(plain, &error),
        Err(_) => {
            let panicked = Error::internal(
                "this request caused apiserver to panic. Look in the logs for details",
            );
            respond::error(plain, &panicked)
        }
    };
    app.metrics
        .observe(labels, response.status().as_u16(), started.elapsed());
    let headers = response.headers_mut();
    let audit = audit.or_else(|| {
        let mut text = uuid::Uuid::encode_buffer();
        let text = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).ok()
    });
    if let Some(audit) = audit {
        headers.insert(AUDIT_ID, audit);
    }
    let private = HeaderValue::from_static("no-cache, private");
    headers.entry(CACHE_CONTROL).or_insert(private);
    body::settle(response, body).await
}

/// What a path names.
#[derive(Debug)]
pub(crate) enum Target {
    /// Objects of a kind, or one, or a part of one.
    Objects(Objects),
    /// Below a group and version that is served, and nothing there.
    Nothing,
    /// Something else: the segments of the path.
    Other(Vec<String>),
}

/// The objects that a path names.
pub(crate) struct Objects {
    pub(crate) kind: &'static dyn Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    /// Whether the path is one of the deprecated ones for watches.
    pub(crate) watch: bool,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let resource = self.kind.resource();
        write!(
            f,
            "{} {}/{}",
            resource.qualified(),
            self.namespace,
            self.name
        )
    }
}

impl Target {
    fn parse(path: &str) -> Self {
        let segments: Vec<Cow<'_, str>> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
            .collect();
        let parts: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let other = || Self::Other(segments.iter().map(|s| s.clone().into_owned()).collect());
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            ["api", version] if !discovery::serves("", version) => return Self::Nothing,
            ["apis", group, version]
                if discovery::group(group).is_some() && !discovery::serves(group, version) =>
            {
                return Self::Nothing;
            }
            _ => return other(),
        };
        if !discovery::serves(group, version) {
            return match group.is_empty() || discovery::group(group).is_some() {
                true => Self::Nothing,
                false => other(),
            };
        }
        Self::objects(group, version, rest).unwrap_or(Self::Nothing)
    }

    fn objects(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        let (watch, rest) = match rest {
            ["watch", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (namespace, plural, name, subresource) = match rest {
            // A namespace's own parts look like kinds in it.
            ["namespaces", name, part @ ("status" | "finalize")] if group.is_empty() => {
                ("", "namespaces", *name, *part)
            }
            ["namespaces", namespace, plural] => (*namespace, *plural, "", ""),
            ["namespaces", namespace, plural, name] => (*namespace, *plural, *name, ""),
            ["namespaces", namespace, plural, name, part] => (*namespace, *plural, *name, *part),
            [plural] => ("", *plural, "", ""),
            [plural, name] => ("", *plural, *name, ""),
            [plural, name, part] => ("", *plural, *name, *part),
            _ => return None,
        };
        let kind = api::kinds::by_plural(group, version, plural)?;
        let resource = kind.resource();
        let fits = match resource.scope {
            Scope::Cluster => namespace.is_empty(),
            Scope::Namespaced => name.is_empty() || !namespace.is_empty(),
        };
        let has = |verbs: &[&str]| verbs.iter().any(|verb| resource.verbs.contains(verb));
        // A place where no verb can be used is not there.
        let served = match (name, subresource) {
            _ if watch => has(&["watch"]),
            ("", _) => has(&["list"]) || fits_create(resource, namespace),
            (_, "") => has(&["get", "update", "patch", "delete"]),
            _ => subresources::of(resource).any(|part| part.name == subresource),
        };
        (fits && served).then(|| {
            Self::Objects(Objects {
                kind,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                subresource: subresource.to_owned(),
                watch,
            })
        })
    }
}

/// Whether objects can be created at this place: those of a namespaced kind only in a namespace.
fn fits_create(resource: &Resource, namespace: &str) -> bool {
    let placed = resource.scope == Scope::Cluster || !namespace.is_empty();
    placed && resource.verbs.contains(&"create")
}

async fn route(
    app: &Arc<App>,
    parts: Parts,
    query: Query,
    body: &mut Body,
    target: Target,
) -> Result<Response> {
    let user = app.authenticator.authenticate(&parts).map_err(|refused| {
        tracing::debug!("{} {}: {refused}", parts.method, parts.uri.path());
        Error::unauthorized()
    })?;
    let user = acting(app, user, &parts, &query, &target).await?;
    match target {
        Target::Objects(objects) => resource(app, parts, query, body, user, objects).await,
        Target::Nothing => {
            permit_path(app, &user, &parts)?;
            Err(Error::no_such_resource())
        }
        Target::Other(segments) => {
            permit_path(app, &user, &parts)?;
            other(app, &parts, &query, &segments).await
        }
    }
}

/// The verb of a request for objects, `None` where the method does not exist.
pub(crate) fn verb(method: &Method, objects: &Objects, query: &Query) -> Option<&'static str> {
    let named = !objects.name.is_empty();
    let resource = objects.kind.resource();
    let watched = objects.watch || (!named && query.flag("watch"));
    let verb = match (method.as_str(), named) {
        ("GET", _) if watched => "watch",
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", false) => "create",
        ("POST", true) if !objects.subresource.is_empty() => "create",
        ("PUT", true) => "update",
        ("PATCH", true) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return None,
    };
    let verbs = match resource.subresource(&objects.subresource) {
        Some(part) => part.verbs,
        None => resource.verbs,
    };
    // Objects of a namespaced kind are written one namespace at a time.
    let placed = resource.scope == Scope::Cluster || !objects.namespace.is_empty();
    let placed = placed || matches!(verb, "list" | "watch");
    (placed && verbs.contains(&verb)).then_some(verb)
}

async fn resource(
    app: &Arc<App>,
    mut parts: Parts,
    query: Query,
    body: &mut Body,
    user: Arc<UserInfo>,
    objects: Objects,
) -> Result<Response> {
    let verb = verb(&parts.method, &objects, &query).ok_or_else(Error::method_not_allowed)?;
    if permit(app, &user, verb, &objects, &query).is_err() {
        // The role, or the pod that a node asks for, may have been committed just now.
        app.cache.fresh().await?;
        permit(app, &user, verb, &objects, &query)?;
    }
    let problems = api::meta::name::path_segment(&objects.name);
    if !problems.is_empty() {
        let name = api::field::go_quoted(&objects.name);
        return Err(Error::bad_request(format!(
            "Name parameter invalid: {name}: {}",
            problems.join(";")
        )));
    }
    let shapes = match objects.subresource.as_str() {
        "" | "status" if objects.kind.resource().is_stored() => negotiate::OBJECTS,
        _ => negotiate::PLAIN,
    };
    let streams = matches!(objects.subresource.as_str(), "log" | "exec");
    let form = match Form::of(&parts.headers, &query, shapes) {
        Ok(form) => form,
        Err(_) if streams => Form::plain(),
        Err(error) => return Err(error),
    };
    let local = parts.extensions.get::<crate::server::Local>().is_some();
    let mut call = Call {
        app: app.clone(),
        user,
        kind: objects.kind,
        namespace: objects.namespace,
        name: objects.name,
        subresource: objects.subresource,
        method: parts.method.clone(),
        query,
        headers: std::mem::take(&mut parts.headers),
        // Over loopback bytes are cheaper than their compression.
        form: Form {
            gzip: form.gzip && !local,
            ..form
        },
        warnings: Mutex::default(),
    };
    if verb == "watch" && !call.name.is_empty() {
        // The deprecated path for a watch of one object.
        let name = std::mem::take(&mut call.name);
        call.query
            .add("fieldSelector", format!("metadata.name={name}"));
    }
    let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let response = dispatch(&call, verb, body, upgrade).await;
    let mut response = match response {
        Ok(response) => response,
        Err(error) => respond::error(call.form, &error),
    };
    for text in call.warnings.lock().iter() {
        let quoted = api::field::go_quoted(text);
        if let Ok(value) = HeaderValue::from_str(&format!("299 - {quoted}")) {
            response.headers_mut().append(WARNING, value);
        }
    }
    Ok(response)
}

async fn dispatch(
    call: &Call,
    verb: &str,
    body: &mut Body,
    upgrade: Option<hyper::upgrade::OnUpgrade>,
) -> Result<Response> {
    let main = call.subresource.is_empty();
    let body = match verb {
        "get" | "list" | "watch" if !matches!(call.subresource.as_str(), "exec") => Bytes::new(),
        _ => body::read(body).await?,
    };
    match verb {
        _ if !main && call.subresource != "status" => {
            subresources::serve(call, verb, &body, upgrade).await
        }
        "get" => handlers::get(call).await,
        "list" => handlers::list(call).await,
        "watch" => handlers::watch(call).await,
        "create" => handlers::create(call, &body).await,
        "update" => handlers::update(call, part(call), &body).await,
        "patch" => handlers::patch(call, part(call), &body).await,
        "delete" => handlers::delete(call, &body).await,
        "deletecollection" => handlers::deletecollection(call, &body).await,
        _ => Err(Error::method_not_allowed()),
    }
}

fn part(call: &Call) -> Part {
    match call.subresource.as_str() {
        "status" => Part::Status,
        _ => Part::Main,
    }
}

async fn other(
    app: &Arc<App>,
    parts: &Parts,
    query: &Query,
    segments: &[String],
) -> Result<Response> {
    let shapes = match segments {
        [first, ..] if first == "api" || first == "apis" => negotiate::DISCOVERY,
        _ => negotiate::PLAIN,
    };
    let form = Form::of(&parts.headers, query, shapes);
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let found = match path.as_slice() {
        [] => Some(respond::value(form?, 200, &discovery::paths())),
        ["version"] => Some(respond::value(form?, 200, &version::version())),
        ["livez" | "readyz" | "healthz", ..] => health::check(app, &path, query).await,
        ["metrics"] => Some(app.metrics.answer(app)),
        ["api"] | ["apis"] if form.as_ref().is_ok_and(|f| f.shape == Shape::Discovery) => Some(
            discovery::aggregated(form?, path[0] == "api", &parts.headers),
        ),
        ["api"] => Some(respond::value(
            form?,
            200,
            &discovery::versions(&parts.headers),
        )),
        ["apis"] => Some(respond::value(form?, 200, &discovery::groups())),
        ["api", version] if discovery::serves("", version) => Some(respond::value(
            form?,
            200,
            &discovery::resources("", version),
        )),
        ["apis", group] => match discovery::group(group) {
            Some(group) => Some(respond::value(form?, 200, &group)),
            None => None,
        },
        ["apis", group, version] if discovery::serves(group, version) => Some(respond::value(
            form?,
            200,
            &discovery::resources(group, version),
        )),
        ["openapi", "v2"] => Some(openapi::version_2(&parts.headers)),
        ["openapi", "v3", rest @ ..] => openapi::serve(rest, query, &parts.headers),
        _ => None,
    };
    if found.is_some() && !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Error::method_not_allowed());
    }
    Ok(found.unwrap_or_else(|| {
        respond::raw(
            Form::plain(),
            404,
            "text/plain; charset=utf-8",
            Bytes::from_static(b"404 page not found\n"),
        )
    }))
}
