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
use super::tier::{self, Tier};

/// The handlers of one path.
pub(super) struct Methods {
    router: MethodRouter<App>,
    methods: Vec<Method>,
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {
        $(
            /// A path that takes this method.
            #[allow(dead_code, reason = "the set is whole, whichever of it the table uses today")]
            pub(super) fn $name<H: Handler<T, App>, T: 'static>(handler: H) -> Methods {
                Methods { router: routing::$name(handler), methods: vec![Method::$method] }
            }
        )*

        impl Methods {
            $(
                /// Takes this method as well.
                #[allow(dead_code, reason = "the set is whole, whichever of it the table uses today")]
                pub(super) fn $name<H: Handler<T, App>, T: 'static>(mut self, handler: H) -> Self {
                    self.methods.push(Method::$method);
                    Self { router: self.router.$name(handler), methods: self.methods }
                }
            )*
        }
    };
}

methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE);

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
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
        self.rows.extend(methods.methods.into_iter().map(|method| Row { method, path }));
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

/// The tier of each route; one that the tier table does not know is the maintainers'.
fn tiers(rows: &[Row]) -> HashMap<(Method, &'static str), Tier> {
    let tier = |row: &Row| tier::of(row.method.as_str(), row.path).unwrap_or(Tier::Maintainer);
    rows.iter().map(|row| ((row.method.clone(), row.path), tier(row))).collect()
}
