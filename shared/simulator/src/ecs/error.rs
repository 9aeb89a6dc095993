//! The exceptions of the simulated ECS.

/// An exception, as the ECS API answers it.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcsError {
    /// Which exception.
    pub kind: EcsErrorKind,
    /// What it says.
    pub message: String,
    /// The tasks that exist already; only ConflictException names any.
    pub resource_ids: Vec<String>,
}

/// Which exception it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcsErrorKind {
    /// More than ten custom attributes.
    AttributeLimitExceeded,
    /// The request cannot be carried out, whatever the caller does differently.
    Client,
    /// A cluster with instances cannot be deleted.
    ClusterContainsContainerInstances,
    /// There is no such cluster.
    ClusterNotFound,
    /// The client token belongs to another request.
    Conflict,
    /// A parameter makes no sense.
    InvalidParameter,
    /// The body is not what it should be.
    Serialization,
    /// The target of an attribute does not exist.
    TargetNotFound,
    /// There is no such action.
    UnknownOperation,
    /// ECS has it, the simulated one has not.
    UnsupportedFeature,
}

impl EcsErrorKind {
    /// The exception's name in the API.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AttributeLimitExceeded => "AttributeLimitExceededException",
            Self::Client => "ClientException",
            Self::ClusterContainsContainerInstances => "ClusterContainsContainerInstancesException",
            Self::ClusterNotFound => "ClusterNotFoundException",
            Self::Conflict => "ConflictException",
            Self::InvalidParameter => "InvalidParameterException",
            Self::Serialization => "SerializationException",
            Self::TargetNotFound => "TargetNotFoundException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::UnsupportedFeature => "UnsupportedFeatureException",
        }
    }
}

impl EcsError {
    /// An exception with its message.
    pub fn new(kind: EcsErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            resource_ids: Vec::new(),
        }
    }

    /// A parameter makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(EcsErrorKind::InvalidParameter, message)
    }

    /// The request cannot be carried out.
    pub fn client(message: impl Into<String>) -> Self {
        Self::new(EcsErrorKind::Client, message)
    }

    /// There is no such cluster.
    pub fn cluster_not_found() -> Self {
        Self::new(EcsErrorKind::ClusterNotFound, "Cluster not found.")
    }
}

impl std::fmt::Display for EcsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.message)
    }
}

impl std::error::Error for EcsError {}
