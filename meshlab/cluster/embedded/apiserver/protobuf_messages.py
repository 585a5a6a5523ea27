"""Which numbers do fields have in Kubernetes' protobuf? For the kinds that kubectl posts in it, and what they hold.

Each message is a line of fields: a number, a name, and a type unless it is text. Types: `int`, `bool`, `bytes`,
`Quantity`, `IntOrString`, `ExtraValue` (a list of text), another message; `[type]` a list and `{type}` a map by text;
`?` a field whose zero means something; `-` one that is passed over because a server doesn't take it from clients.
"""

from __future__ import annotations

_KIND = "1 metadata ObjectMeta, 2 spec {kind}Spec, 3 status -"
_REVIEWED = "1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes"

MESSAGES = {
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
    "LocalObjectReference": "1 name",
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
    "PodTemplateSpec": "1 metadata ObjectMeta, 2 spec PodSpec",
    "PodSpec": (
        "2 containers [Container], 3 restartPolicy, 4 terminationGracePeriodSeconds int?, 5 activeDeadlineSeconds "
        "int?, 6 dnsPolicy, 7 nodeSelector {}, 8 serviceAccountName, 9 serviceAccount, 10 nodeName, 11 "
        "hostNetwork bool, 12 hostPID bool, 13 hostIPC bool, 15 imagePullSecrets [LocalObjectReference], 16 "
        "hostname, 17 subdomain, 19 schedulerName, 20 initContainers [Container], 21 automountServiceAccountToken "
        "bool?, 24 priorityClassName"
    ),
    "Container": (
        "1 name, 2 image, 3 command [], 4 args [], 5 workingDir, 6 ports [ContainerPort], 7 env [EnvVar], 8 "
        "resources ResourceRequirements, 13 terminationMessagePath, 14 imagePullPolicy, 16 stdin bool, 17 "
        "stdinOnce bool, 18 tty bool, 20 terminationMessagePolicy"
    ),
    "ContainerPort": "1 name, 2 hostPort int, 3 containerPort int, 4 protocol, 5 hostIP",
    "EnvVar": "1 name, 2 value",
    "ResourceRequirements": "1 limits {Quantity}, 2 requests {Quantity}",
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
        "1 parallelism int?, 2 completions int?, 3 activeDeadlineSeconds int?, 4 selector LabelSelector, 5 "
        "manualSelector bool?, 6 template PodTemplateSpec, 7 backoffLimit int?, 8 ttlSecondsAfterFinished int?"
    ),
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
    "": ("Namespace", "ConfigMap", "Secret", "ServiceAccount", "Service", "Pod"),
    "apps": ("Deployment",),
    "authentication.k8s.io": ("SelfSubjectReview", "TokenRequest", "TokenReview"),
    "authorization.k8s.io": (
        "LocalSubjectAccessReview",
        "SelfSubjectAccessReview",
        "SelfSubjectRulesReview",
        "SubjectAccessReview",
    ),
    "autoscaling": ("Scale",),
    "batch": ("Job",),
    "meta.k8s.io": ("DeleteOptions",),
    "policy": ("Eviction",),
    "rbac.authorization.k8s.io": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
}
"""The kinds that may be the whole body, by their group; all are of version v1."""
