"""Which numbers do fields have in Kubernetes' protobuf? For the kinds that kubectl posts in it, and what they hold.

Each message is a line of fields: a number, a name, and a type unless it is text. Types: `int`, `bool`, `bytes`,
`Quantity`, `IntOrString`, `ExtraValue` (a list of text), another message; `[type]` a list and `{type}` a map by text;
`?` a field whose zero means something; `-` one that is passed over because a server doesn't take it from clients. In
place of a name that is a dot, JSON has the fields of the message.
"""

from __future__ import annotations

from meshlab.cluster.embedded.apiserver.protobuf_pods import POD_MESSAGES

_KIND = "1 metadata ObjectMeta, 2 spec {kind}Spec, 3 status -"
_REVIEWED = "1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes"

MESSAGES = POD_MESSAGES | {
    "TypeMeta": "1 apiVersion, 2 kind",
    "ObjectMeta": (
        "1 name, 2 generateName, 3 namespace, 4 selfLink -, 5 uid, 6 resourceVersion, 7 generation -, 8 "
        "creationTimestamp -, 9 deletionTimestamp -, 10 deletionGracePeriodSeconds -, 11 labels {}, 12 "
        "annotations {}, 13 ownerReferences [OwnerReference], 14 finalizers [], 17 managedFields -"
    ),
    "OwnerReference": "1 kind, 3 name, 4 uid, 5 apiVersion, 6 controller bool?, 7 blockOwnerDeletion bool?",
    "LabelSelector": "1 matchLabels {}, 2 matchExpressions [LabelSelectorRequirement]",
    "LabelSelectorRequirement": "1 key, 2 operator, 3 values []",
    "DeleteOptions": (
        "1 gracePeriodSeconds int?, 2 preconditions Preconditions, 3 orphanDependents bool?, 4 propagationPolicy, "
        "5 dryRun [], 6 ignoreStoreReadErrorWithClusterBreakingPotential bool"
    ),
    "Preconditions": "1 uid, 2 resourceVersion",
    "ObjectReference": "1 kind, 2 namespace, 3 name, 4 uid, 5 apiVersion, 6 resourceVersion, 7 fieldPath",
    # core
    "Namespace": _KIND.format(kind="Namespace"),
    "NamespaceSpec": "1 finalizers []",
    "ConfigMap": "1 metadata ObjectMeta, 2 data {}, 3 binaryData {bytes}, 4 immutable bool?",
    "Secret": "1 metadata ObjectMeta, 2 data {bytes}, 3 type, 4 stringData {}, 5 immutable bool?",
    "ServiceAccount": (
        "1 metadata ObjectMeta, 2 secrets [ObjectReference], 3 imagePullSecrets [LocalObjectReference], 4 "
        "automountServiceAccountToken bool?"
    ),
    "Service": _KIND.format(kind="Service"),
    "ServiceSpec": (
        "1 ports [ServicePort], 2 selector {}, 3 clusterIP, 4 type, 5 externalIPs [], 7 sessionAffinity, 8 "
        "loadBalancerIP, 9 loadBalancerSourceRanges [], 10 externalName, 11 externalTrafficPolicy, 12 "
        "healthCheckNodePort int, 13 publishNotReadyAddresses bool, 17 ipFamilyPolicy, 18 clusterIPs [], 19 "
        "ipFamilies [], 20 allocateLoadBalancerNodePorts bool?, 21 loadBalancerClass, 22 internalTrafficPolicy"
    ),
    "ServicePort": "1 name, 2 protocol, 3 port int, 4 targetPort IntOrString, 5 nodePort int, 6 appProtocol",
    "Pod": _KIND.format(kind="Pod"),
    # workloads
    "Deployment": _KIND.format(kind="Deployment"),
    "DeploymentSpec": (
        "1 replicas int?, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 strategy DeploymentStrategy, 5 "
        "minReadySeconds int, 6 revisionHistoryLimit int?, 7 paused bool, 9 progressDeadlineSeconds int?"
    ),
    "DeploymentStrategy": "1 type, 2 rollingUpdate RollingUpdateDeployment",
    "RollingUpdateDeployment": "1 maxUnavailable IntOrString, 2 maxSurge IntOrString",
    "Job": _KIND.format(kind="Job"),
    "JobSpec": (
        "1 parallelism int?, 2 completions int?, 3 activeDeadlineSeconds int?, 11 podFailurePolicy PodFailurePolicy?, "
        "16 successPolicy SuccessPolicy?, 7 backoffLimit int?, 12 backoffLimitPerIndex int?, 13 maxFailedIndexes "
        "int?, 4 selector LabelSelector?, 5 manualSelector bool?, 6 template PodTemplateSpec, 8 "
        "ttlSecondsAfterFinished int?, 9 completionMode text?, 10 suspend bool?, 14 podReplacementPolicy text?, 15 "
        "managedBy text?"
    ),
    "CronJob": "1 metadata ObjectMeta, 2 spec CronJobSpec, 3 status -",
    "PodDisruptionBudget": "1 metadata ObjectMeta, 2 spec PodDisruptionBudgetSpec, 3 status -",
    "ResourceQuota": "1 metadata ObjectMeta, 2 spec ResourceQuotaSpec, 3 status -",
    "Ingress": "1 metadata ObjectMeta, 2 spec IngressSpec, 3 status -",
    "PriorityClass": (
        "1 metadata ObjectMeta, 2 value int, 3 globalDefault bool, 4 description, 5 preemptionPolicy text?"
    ),
    "PodFailurePolicy": "1 rules [PodFailurePolicyRule]",
    "SuccessPolicy": "1 rules [SuccessPolicyRule]",
    "CronJobSpec": (
        "1 schedule, 8 timeZone text?, 2 startingDeadlineSeconds int?, 3 concurrencyPolicy, 4 suspend bool?, 5 "
        "jobTemplate JobTemplateSpec, 6 successfulJobsHistoryLimit int?, 7 failedJobsHistoryLimit int?"
    ),
    "PodDisruptionBudgetSpec": (
        "1 minAvailable IntOrString?, 2 selector LabelSelector?, 3 maxUnavailable IntOrString?, 4 "
        "unhealthyPodEvictionPolicy text?"
    ),
    "ResourceQuotaSpec": "1 hard {Quantity}, 2 scopes [], 3 scopeSelector ScopeSelector?",
    "IngressSpec": (
        "4 ingressClassName text?, 1 defaultBackend IngressBackend?, 2 tls [IngressTLS], 3 rules [IngressRule]"
    ),
    "PodFailurePolicyRule": (
        "1 action, 2 onExitCodes PodFailurePolicyOnExitCodesRequirement?, 3 onPodConditions "
        "[PodFailurePolicyOnPodConditionsPattern]"
    ),
    "SuccessPolicyRule": "1 succeededIndexes text?, 2 succeededCount int?",
    "JobTemplateSpec": "1 metadata ObjectMeta, 2 spec JobSpec",
    "ScopeSelector": "1 matchExpressions [ScopedResourceSelectorRequirement]",
    "IngressBackend": "4 service IngressServiceBackend?, 3 resource TypedLocalObjectReference?",
    "IngressTLS": "1 hosts [], 2 secretName",
    "IngressRule": "1 host, 2 . IngressRuleValue",
    "PodFailurePolicyOnExitCodesRequirement": "1 containerName text?, 2 operator, 3 values [int]",
    "PodFailurePolicyOnPodConditionsPattern": "1 type, 2 status",
    "ScopedResourceSelectorRequirement": "1 scopeName, 2 operator, 3 values []",
    "IngressServiceBackend": "1 name, 2 port ServiceBackendPort",
    "IngressRuleValue": "1 http HTTPIngressRuleValue?",
    "ServiceBackendPort": "1 name, 2 number int",
    "HTTPIngressRuleValue": "1 paths [HTTPIngressPath]",
    "HTTPIngressPath": "1 path, 3 pathType text?, 2 backend IngressBackend",
    "Scale": "1 metadata ObjectMeta, 2 spec ScaleSpec, 3 status -",
    "ScaleSpec": "1 replicas int",
    "Eviction": "1 metadata ObjectMeta, 2 deleteOptions DeleteOptions",
    # access
    "Role": "1 metadata ObjectMeta, 2 rules [PolicyRule]",
    "ClusterRole": "1 metadata ObjectMeta, 2 rules [PolicyRule], 3 aggregationRule AggregationRule",
    "AggregationRule": "1 clusterRoleSelectors [LabelSelector]",
    "PolicyRule": "1 verbs [], 2 apiGroups [], 3 resources [], 4 resourceNames [], 5 nonResourceURLs []",
    "RoleBinding": "1 metadata ObjectMeta, 2 subjects [Subject], 3 roleRef RoleRef",
    "ClusterRoleBinding": "1 metadata ObjectMeta, 2 subjects [Subject], 3 roleRef RoleRef",
    "Subject": "1 kind, 2 apiGroup, 3 name, 4 namespace",
    "RoleRef": "1 apiGroup, 2 kind, 3 name",
    # questions
    "SelfSubjectAccessReview": _KIND.format(kind="SelfSubjectAccessReview"),
    "SelfSubjectAccessReviewSpec": _REVIEWED,
    "SubjectAccessReview": _KIND.format(kind="SubjectAccessReview"),
    "LocalSubjectAccessReview": _KIND.format(kind="SubjectAccessReview"),
    "SubjectAccessReviewSpec": f"{_REVIEWED}, 3 user, 4 groups [], 5 extra {{ExtraValue}}, 6 uid",
    "ResourceAttributes": "1 namespace, 2 verb, 3 group, 4 version, 5 resource, 6 subresource, 7 name",
    "NonResourceAttributes": "1 path, 2 verb",
    "SelfSubjectRulesReview": _KIND.format(kind="SelfSubjectRulesReview"),
    "SelfSubjectRulesReviewSpec": "1 namespace",
    "SelfSubjectReview": "1 metadata ObjectMeta, 2 status -",
    "TokenReview": _KIND.format(kind="TokenReview"),
    "TokenReviewSpec": "1 token, 2 audiences []",
    "TokenRequest": _KIND.format(kind="TokenRequest"),
    "TokenRequestSpec": "1 audiences [], 3 boundObjectRef BoundObjectReference, 4 expirationSeconds int?",
    "BoundObjectReference": "1 kind, 2 apiVersion, 3 name, 4 uid",
}

KINDS = {
    "": ("Namespace", "ConfigMap", "Secret", "ServiceAccount", "Service", "Pod", "ResourceQuota"),
    "apps": ("Deployment",),
    "authentication.k8s.io": ("SelfSubjectReview", "TokenRequest", "TokenReview"),
    "authorization.k8s.io": (
        "LocalSubjectAccessReview",
        "SelfSubjectAccessReview",
        "SelfSubjectRulesReview",
        "SubjectAccessReview",
    ),
    "autoscaling": ("Scale",),
    "batch": ("CronJob", "Job"),
    "meta.k8s.io": ("DeleteOptions",),
    "networking.k8s.io": ("Ingress",),
    "policy": ("Eviction", "PodDisruptionBudget"),
    "rbac.authorization.k8s.io": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    "scheduling.k8s.io": ("PriorityClass",),
}
"""The kinds that may be the whole body, by their group; all are of version v1."""
