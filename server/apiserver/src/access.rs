//! Who a request is made as, and whether they may make it.

use std::sync::Arc;

use api::auth::UserInfo;
use api::kind::Resource;
use api::meta::selector::Fields;
use http::request::Parts;

use crate::app::App;
use crate::auth::impersonation::{self, Refused};
use crate::auth::{Attributes, Decision};
use crate::error::{Error, Result};
use crate::query::Query;
use crate::routes::{Objects, Target, verb};

/// The user that a request is made as: who makes it, or whom it asks to act as.
pub(crate) async fn acting(
    app: &App,
    user: Arc<UserInfo>,
    parts: &Parts,
    query: &Query,
    target: &Target,
) -> Result<Arc<UserInfo>> {
    let refused = |refused| match refused {
        Refused::Malformed(why) => Error::bad_request(why),
        Refused::Forbidden {
            group,
            resource,
            name,
            why,
        } => Error::unauthorized_for(&group, &resource, &name, &why),
    };
    let Some(wanted) = impersonation::wanted(&parts.headers).map_err(refused)? else {
        return Ok(user);
    };
    let selected = selected(query);
    let method = parts.method.as_str().to_ascii_lowercase();
    let attributes = match target {
        Target::Objects(objects) => {
            let verb = verb(&parts.method, objects, query).ok_or_else(Error::method_not_allowed)?;
            of_objects(&user, verb, objects, query, selected.as_ref())
        }
        Target::Nothing | Target::Other(_) => of_path(&user, &method, parts.uri.path()),
    };
    let act = || impersonation::act_as(&app.authorizer, &wanted, &attributes);
    let acting = match act() {
        Ok(acting) => acting,
        Err(_) => {
            // The role may have been committed just now.
            app.cache.fresh().await?;
            act().map_err(refused)?
        }
    };
    Ok(Arc::new(acting))
}

/// Whether a user may do what a request does that is for no objects.
pub(crate) fn permit_path(app: &App, user: &UserInfo, parts: &Parts) -> Result<()> {
    let verb = parts.method.as_str().to_ascii_lowercase();
    let attributes = of_path(user, &verb, parts.uri.path());
    match app.authorizer.authorize(&attributes) {
        Decision::Allow => Ok(()),
        Decision::Deny(why) => Err(Error::unauthorized_for("", "", "", &why)),
    }
}

/// What a request does that is for no objects.
fn of_path<'a>(user: &'a UserInfo, verb: &'a str, path: &'a str) -> Attributes<'a> {
    Attributes {
        user,
        verb,
        group: "",
        resource: "",
        subresource: "",
        namespace: "",
        name: "",
        field_selector: "",
        path,
    }
}

/// Whether a user may do what a request for objects does.
pub(crate) fn permit(
    app: &App,
    user: &UserInfo,
    verb: &str,
    objects: &Objects,
    query: &Query,
) -> Result<()> {
    let selected = selected(query);
    let attributes = of_objects(user, verb, objects, query, selected.as_ref());
    match app.authorizer.authorize(&attributes) {
        Decision::Allow => Ok(()),
        Decision::Deny(why) => Err(Error::unauthorized_for(
            attributes.group,
            attributes.resource,
            &objects.name,
            &why,
        )),
    }
}

/// The field selector of a request, if it can be read.
fn selected(query: &Query) -> Option<Fields> {
    Fields::parse(query.text("fieldSelector")).ok()
}

/// What a request for objects does.
fn of_objects<'a>(
    user: &'a UserInfo,
    verb: &'a str,
    objects: &'a Objects,
    query: &'a Query,
    selected: Option<&'a Fields>,
) -> Attributes<'a> {
    let resource: &Resource = objects.kind.resource();
    let namespace = match (resource.plural, resource.group) {
        ("namespaces", "") => &objects.name,
        _ => &objects.namespace,
    };
    let name = match objects.name.as_str() {
        "" => selected.and_then(|fields| fields.exact("metadata.name")),
        name => Some(name),
    };
    Attributes {
        user,
        verb,
        group: resource.group,
        resource: resource.plural,
        subresource: &objects.subresource,
        namespace,
        name: name.unwrap_or_default(),
        field_selector: query.text("fieldSelector"),
        path: "",
    }
}
