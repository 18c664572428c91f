//! `get`: lists and objects, in every form of output.

mod tables;
mod watch;

use clap::Args;
use serde_json::{Value, json};

use crate::args::{Files, Print};
use crate::client::Request;
use crate::context::{Context, note};
use crate::error::{Error, Result};
use crate::printer::{self, Format};
use crate::target::{self, Resolved, Spec, Wanted};

/// Display one or many resources.
///
/// Types are given by plural, singular, short name or kind, with a group where needed, and several
/// with commas; `all` stands for the usual ones.
#[derive(Args, Clone, Debug)]
pub(crate) struct Get {
    /// Types and names: pods, po/x, deploy web, pods,svc
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    print: Print,
    /// In all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Ask for lists in chunks of this many; 0 asks for all at once
    #[arg(long, default_value_t = 500)]
    chunk_size: i64,
    /// Only objects whose fields fit: key=value,key!=value
    #[arg(long)]
    field_selector: Option<String>,
    /// Say nothing about objects that don't exist
    #[arg(long)]
    ignore_not_found: bool,
    /// Labels to show in columns of their own
    #[arg(long, short = 'L', value_delimiter = ',')]
    label_columns: Vec<String>,
    /// No line with headings
    #[arg(long)]
    no_headers: bool,
    /// In watches, the kind of each event
    #[arg(long)]
    output_watch_events: bool,
    /// A path to ask the server for, printed as it comes
    #[arg(long)]
    raw: Option<String>,
    /// Only objects whose labels fit: key=value, key!=value, key in (a,b)
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// Let the server make the tables
    #[arg(long, action = clap::ArgAction::Set, default_value_t = true)]
    server_print: bool,
    /// Types in front of names
    #[arg(long)]
    show_kind: bool,
    /// Labels in the last column
    #[arg(long)]
    show_labels: bool,
    /// Order by a JSONPath such as .metadata.name
    #[arg(long)]
    sort_by: Option<String>,
    /// A part of the objects, such as status or scale
    #[arg(long)]
    subresource: Option<String>,
    /// Go on with changes
    #[arg(long, short = 'w')]
    watch: bool,
    /// Only changes
    #[arg(long)]
    watch_only: bool,
}

impl Get {
    pub(crate) async fn run(mut self, context: &Context) -> Result<()> {
        if let Some(path) = self.raw.as_deref().filter(|r| !r.is_empty()) {
            return self.raw(context, path).await;
        }
        self.check()?;
        // An empty path is none.
        self.sort_by = self.sort_by.filter(|path| !path.is_empty());
        let format = Format::parse(&self.print, true)?;
        if self.words.is_empty() && self.files.filename.is_empty() && self.files.kustomize.is_none()
        {
            return Err(no_type());
        }
        let resolved = target::resolve(context, &self.spec()).await?;
        let bulk = resolved.wanted.iter().any(|w| w.name.is_empty());
        if bulk && self.subresource.as_deref().is_some_and(|s| !s.is_empty()) {
            return Err("subresource cannot be used when bulk resources are specified".into());
        }
        if self.watch || self.watch_only {
            return watch::run(&self, context, &format, resolved).await;
        }
        if format.is_human() {
            return tables::run(&self, context, resolved, &format).await;
        }
        self.objects(context, resolved, &format).await
    }

    fn check(&self) -> Result<()> {
        if self.show_labels {
            let output = self.print.output.as_deref().unwrap_or_default();
            if !matches!(output, "" | "wide") {
                return Err(Error::Plain(
                    "--show-labels option cannot be used with the output flag"
                        .replace("the output flag", &format!("{output} printer")),
                ));
            }
        }
        if self.output_watch_events && !self.watch && !self.watch_only {
            return Err(
                "--output-watch-events option can only be used with --watch or --watch-only".into(),
            );
        }
        Ok(())
    }

    fn spec(&self) -> Spec {
        Spec {
            words: self.words.clone(),
            files: self.files.clone(),
            labels: self.selector.clone().unwrap_or_default(),
            fields: self.field_selector.clone().unwrap_or_default(),
            all_namespaces: self.all_namespaces,
            all: true,
            ..Spec::default()
        }
    }

    async fn raw(&self, context: &Context, path: &str) -> Result<()> {
        if !self.words.is_empty() {
            return Err("arguments may not be passed when --raw is specified".into());
        }
        let selector = self.selector.as_deref().unwrap_or_default();
        if self.watch || self.watch_only || !selector.is_empty() {
            return Err("--raw may not be specified with other flags that filter the server request or alter the output".into());
        }
        if self.print.output.as_deref().is_some_and(|o| !o.is_empty()) {
            return Err("--raw and --output are mutually exclusive".into());
        }
        if !path.starts_with('/') {
            return Err(format!(
                "--raw must be a valid URL path: parse {path:?}: invalid URI for request"
            )
            .into());
        }
        let mut response = context
            .client()?
            .response(Request {
                endless: true,
                ..Request::get(path)
            })
            .await?;
        let mut out = std::io::stdout().lock();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|e| Error::Plain(e.to_string()))?
        {
            std::io::Write::write_all(&mut out, &chunk)?;
            std::io::Write::flush(&mut out)?;
        }
        Ok(())
    }

    /// The request for one thing, with selectors and chunking for lists.
    fn request(&self, wanted: &Wanted, paging: &str) -> Request {
        let path = match self.subresource.as_deref() {
            Some(part) if !wanted.name.is_empty() => format!("{}/{part}", wanted.path()),
            _ => wanted.path(),
        };
        let request = Request::get(path);
        if !wanted.name.is_empty() {
            return request;
        }
        let limit = if self.chunk_size > 0 && self.sort_by.is_none() {
            self.chunk_size.to_string()
        } else {
            String::new()
        };
        request
            .query("continue", paging)
            .query(
                "fieldSelector",
                self.field_selector.clone().unwrap_or_default(),
            )
            .query("labelSelector", self.selector.clone().unwrap_or_default())
            .query("limit", limit)
    }

    /// Asks for one thing, or for the chunk of a list that `paging` continues with; gives the answer
    /// and where the next chunk begins, if there is one.
    async fn page(
        &self,
        context: &Context,
        wanted: &Wanted,
        accept: Option<&str>,
        paging: &str,
    ) -> Result<(Value, Option<String>)> {
        let mut request = self.request(wanted, paging);
        if let Some(accept) = accept {
            request = request.accept(accept);
            if self.sort_by.is_some() || !self.server_print {
                request = request.query("includeObject", "Object");
            }
        }
        let page = context.client()?.json(request).await?;
        let next = page["metadata"]["continue"].as_str();
        let next = next.filter(|next| !next.is_empty()).map(str::to_owned);
        Ok((page, next))
    }

    /// Asks for one thing; a list is followed through its chunks, whose `field` are joined.
    async fn fetch(
        &self,
        context: &Context,
        wanted: &Wanted,
        accept: Option<&str>,
        field: &str,
    ) -> Result<Value> {
        let (mut whole, mut paging) = self.page(context, wanted, accept, "").await?;
        while let Some(from) = paging {
            let (mut page, next) = self.page(context, wanted, accept, &from).await?;
            paging = next;
            if let (Some(all), Some(more)) =
                (whole[field].as_array_mut(), page[field].as_array_mut())
            {
                all.append(more);
            }
        }
        Ok(whole)
    }

    /// The forms of output that need the objects themselves.
    async fn objects(&self, context: &Context, resolved: Resolved, format: &Format) -> Result<()> {
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for wanted in &resolved.wanted {
            match self.fetch(context, wanted, None, "items").await {
                Ok(answer) if wanted.name.is_empty() => {
                    found.extend(
                        target::items(&answer, &wanted.resource)
                            .into_iter()
                            .map(|i| i.object),
                    );
                }
                Ok(object) => found.push(object),
                Err(error) => {
                    self.missed(target::unfound(error, wanted, &self.spec()), &mut errors)
                }
            }
        }
        if let Some(path) = &self.sort_by {
            printer::sort::sort(&mut found, path, |o| o)?;
        }
        let alone = resolved.single && found.len() == 1;
        if found.is_empty() && (!errors.is_empty() || resolved.single) {
            return Error::many(errors);
        }
        if let Format::Columns(columns) = format {
            let objects: Vec<&Value> = found.iter().collect();
            columns.print(&objects, !self.no_headers)?;
            return Error::many(errors);
        }
        let mut whole = if alone {
            found.swap_remove(0)
        } else {
            list(found)
        };
        let strip = matches!(format, Format::Json | Format::Yaml | Format::Kyaml)
            && !self.print.show_managed_fields;
        if strip {
            whole = printer::without_managed_fields(whole);
        }
        format.print(&whole, None)?;
        Error::many(errors)
    }

    /// Keeps an error, unless it says that something doesn't exist and that is fine.
    fn missed(&self, error: Error, errors: &mut Vec<Error>) {
        if !(self.ignore_not_found && error.is_not_found()) {
            errors.push(error);
        }
    }
}

/// Several objects as one.
fn list(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}})
}

fn no_type() -> Error {
    note(
        "You must specify the type of resource to get. Use \"ctl api-resources\" for a complete list of supported resources.\n",
    );
    Error::Plain(
        "Required resource not specified.\nUse \"ctl explain <resource>\" for a detailed description of that resource (e.g. ctl explain pods).\nSee 'ctl get -h' for help and examples"
            .to_owned(),
    )
}
