//! The directories that one was reached through: a link to one of them would be followed for ever.

use std::sync::Arc;

/// What tells a directory from others, and those above it.
pub(super) struct Chain<T> {
    pub(super) own: T,
    above: Option<Arc<Self>>,
}

impl<T: PartialEq> Chain<T> {
    /// A directory that is named by the user.
    pub(super) fn top(own: T) -> Arc<Self> {
        Arc::new(Self { own, above: None })
    }

    /// A directory in the one of `above`; `None` if it is that one, or one of those above it.
    pub(super) fn below(above: &Arc<Self>, own: T) -> Option<Arc<Self>> {
        let mut link = Some(above);
        while let Some(chain) = link {
            if chain.own == own {
                return None;
            }
            link = chain.above.as_ref();
        }
        Some(Arc::new(Self { own, above: Some(Arc::clone(above)) }))
    }
}
