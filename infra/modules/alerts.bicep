// Who gets which e-mail. Each rule looks at fifteen minutes, or at its window; docs/operate.md says what to do about each.

param location string
param tags object
param email string
param applicationInsightsId string
param vaultId string

var rules = [
  {
    name: 'server-errors'
    title: 'The server fails'
    severity: 1
    // Without what a stranger can bring about: a request that the host cannot forward, or that its client leaves. By
    // invocation, since an operation is the client's own trace, which may hold any number of requests.
    query: 'requests | where toint(resultCode) >= 500 and toint(resultCode) != 503 | extend invocation = tostring(customDimensions.InvocationId) | join kind=leftanti (traces | where message matches regex "^[A-Z]+ /[^ ]* answered 4" or message startswith "The request of this invocation did not come" or message startswith "The client left" | extend invocation = tostring(customDimensions.InvocationId) | distinct invocation) on invocation'
    threshold: 5
  }
  {
    name: 'unavailable'
    title: 'The server is unavailable'
    severity: 1
    query: 'requests | where resultCode == "503" | extend invocation = tostring(customDimensions.InvocationId) | join kind=leftanti (traces | where message startswith "The request of this invocation did not come" | extend invocation = tostring(customDimensions.InvocationId) | distinct invocation) on invocation'
    threshold: 5
  }
  {
    name: 'entra-errors'
    title: 'Entra ID refuses more sign-ins than usual'
    severity: 2
    query: 'traces | where severityLevel >= 2 and message contains "AADSTS"'
    threshold: 10
  }
  {
    name: 'registration-flood'
    title: 'Many clients register'
    severity: 2
    query: 'requests | where tostring(parse_url(url).Path) == "/register"'
    threshold: 200
  }
  {
    name: 'tasks-failed'
    title: 'Background tasks fail or are late'
    severity: 2
    query: 'traces | where severityLevel >= 2 and message contains "background task of"'
    threshold: 0
  }
  {
    // No metric has the age of a message, and that of their number is refreshed once a day (docs/tasks.md).
    name: 'tasks-wait'
    title: 'Background tasks are not run'
    severity: 1
    // The request of a run is only there when the run has ended, after nine minutes at most.
    query: 'traces | where message contains "background task of" and message contains "was queued" and timestamp < ago(15m) | extend name = "run_task" | join kind=leftanti requests on name'
    threshold: 0
    window: 'PT1H'
  }
  {
    // A server that is down logs nothing. But every hour its timer has to, and before the first time nothing is missed.
    name: 'nothing-runs'
    title: 'Nothing runs'
    severity: 1
    query: 'requests | where name == "purge" | join kind=leftanti (requests | where name == "purge" and timestamp > ago(2h)) on name'
    threshold: 0
    window: 'P1D'
  }
  {
    name: 'purge-failed'
    title: 'The purge of expired rows fails'
    severity: 3
    query: 'requests | where name == "purge" and success == false'
    threshold: 0
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'mcp-operators'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'mcp-ops'
    enabled: true
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: rule.name
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.title
      severity: rule.severity
      enabled: true
      scopes: [
        applicationInsightsId
      ]
      evaluationFrequency: 'PT15M'
      windowSize: union({ window: 'PT15M' }, rule).window
      criteria: {
        allOf: [
          {
            query: rule.query
            // One row may stand for several, where telemetry is sampled.
            timeAggregation: 'Total'
            metricMeasureColumn: 'itemCount'
            operator: 'GreaterThan'
            threshold: rule.threshold
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      autoMitigate: true
      // The tables of a new workspace are only there once something has been written to them.
      skipQueryValidation: true
      actions: {
        actionGroups: [
          people.id
        ]
      }
    }
  }
]

// The vault itself reports when a secret is near its end.
resource vaultEvents 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: 'vault-events'
  location: location
  tags: tags
  properties: {
    source: vaultId
    topicType: 'Microsoft.KeyVault.vaults'
  }

  resource secretExpiry 'eventSubscriptions' = {
    name: 'secret-expiry'
    properties: {
      eventDeliverySchema: 'CloudEventSchemaV1_0'
      filter: {
        includedEventTypes: [
          'Microsoft.KeyVault.SecretNearExpiry'
          'Microsoft.KeyVault.SecretExpired'
        ]
      }
      destination: {
        endpointType: 'MonitorAlert'
        properties: {
          severity: 'Sev2'
          description: 'A secret of the vault expires within 30 days. Rotate it.'
          actionGroups: [
            people.id
          ]
        }
      }
    }
  }
}
