//! The router together with the list of what it routes, so that there is one place to add a route and nobody can forget who
//! may use it.

use std::collections::HashMap;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use hyper::Method;

use super::App;
use super::auth::Entrance;
use super::gate::{self, Gate};
use super::openapi::{Handles, Operation, Words};
use super::tier::{self, Tier};

/// The handlers of one path.
pub(super) struct Methods {
    router: MethodRouter<App>,
    methods: Vec<Told>,
}

/// A method and what its handler says.
struct Told {
    method: Method,
    about: &'static str,
    fails: &'static [u16],
    tell: fn(&mut Operation, &mut Words),
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {
        $(
            /// A path that takes this method: by whom it is handled, what that does in a sentence, and the statuses of its own
            /// refusals, besides those that its arguments and its door bring along.
            #[allow(dead_code, reason = "the set is whole, whichever of it the table uses today")]
            pub(super) fn $name<H: Handles<T>, T: 'static>(
                handler: H,
                about: &'static str,
                fails: &'static [u16],
            ) -> Methods {
                let told = Told { method: Method::$method, about, fails, tell: H::tell };
                Methods { router: routing::$name(handler), methods: vec![told] }
            }
        )*

        impl Methods {
            $(
                /// Takes this method as well.
                #[allow(dead_code, reason = "the set is whole, whichever of it the table uses today")]
                pub(super) fn $name<H: Handles<T>, T: 'static>(
                    mut self,
                    handler: H,
                    about: &'static str,
                    fails: &'static [u16],
                ) -> Self {
                    self.methods.push(Told { method: Method::$method, about, fails, tell: H::tell });
                    Self { router: self.router.$name(handler), methods: self.methods }
                }
            )*
        }
    };
}

methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE);

/// One route.
#[derive(Clone, Debug)]
pub struct Row {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// The statuses of its own refusals.
    pub(super) fails: &'static [u16],
    /// Adds what its handler takes and answers.
    pub(super) tell: fn(&mut Operation, &mut Words),
}

impl Row {
    /// Who may use it; one that the tier table does not know is the maintainers'.
    #[must_use]
    pub fn tier(&self) -> Tier {
        tier::of(self.method.as_str(), self.path).unwrap_or(Tier::Maintainer)
    }
}

/// All routes.
pub(super) struct Table {
    router: Router<App>,
    rows: Vec<Row>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), rows: Vec::new() }
    }

    pub(super) fn route(mut self, path: &'static str, methods: Methods) -> Self {
        let row = |Told { method, about, fails, tell }| Row { method, path, about, fails, tell };
        self.rows.extend(methods.methods.into_iter().map(row));
        Self { router: self.router.route(path, methods.router), rows: self.rows }
    }

    pub(super) fn fallback<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        Self { router: self.router.fallback(handler), rows: self.rows }
    }

    pub(super) fn method_not_allowed_fallback<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        Self { router: self.router.method_not_allowed_fallback(handler), rows: self.rows }
    }

    pub(super) fn rows(self) -> Vec<Row> {
        self.rows
    }

    /// The router behind one door: every request passes the gate first.
    pub(super) fn serve(self, app: App, door: Entrance) -> Router {
        let gate = Gate { doors: app.doors.clone(), door, tiers: tiers(&self.rows).into() };
        self.router.layer(axum::middleware::from_fn_with_state(gate, gate::admit)).with_state(app)
    }
}

/// The tier of each route.
fn tiers(rows: &[Row]) -> HashMap<(Method, &'static str), Tier> {
    rows.iter().map(|row| ((row.method.clone(), row.path), row.tier())).collect()
}
