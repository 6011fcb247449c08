locals {
  # Titles, metrics as [namespace, name, dimension, value, label], and how they are counted.
  widgets = [
    { title = "Runs", stat = "Sum", metrics = [for metric in ["Waves", "RunsCreated", "RunsSaved"] : ["Sluice", metric]] },
    { title = "Asked", stat = "Sum", metrics = [for metric in ["Notifications", "NotificationsRefused", "RunTasks"] : ["Sluice", metric]] },
    { title = "Answered", stat = "Sum", metrics = [for metric in ["CallbacksAccepted", "CallbacksRefused"] : ["Sluice", metric]] },
    { title = "From an apply to the last run of its wave, seconds", stat = "p90", metrics = [["Sluice", "ApplyToLastRunSeconds"]] },
    { title = "Age of work when it is taken up, seconds", stat = "p90", metrics = [["Sluice", "WorkAgeSeconds"]] },
    { title = "Oldest due work, seconds", stat = "Maximum", metrics = [["Sluice", "OldestDueWorkSeconds"]] },
    { title = "Attempts that failed", stat = "Sum", metrics = [["Sluice", "WorkRetried"]] },
    { title = "Dead letters", stat = "Maximum", metrics = [["Sluice", "DeadLetters"]] },
    { title = "Turns left at HCP Terraform's API, percent", stat = "Minimum", metrics = [["Sluice", "ApiBudgetLeft"]] },
    { title = "Errors", stat = "Sum", metrics = [for name in keys(local.enabled) : ["AWS/Lambda", "Errors", "FunctionName", "${var.name}-${name}"]] },
    { title = "Throttles", stat = "Sum", metrics = [for name in keys(local.enabled) : ["AWS/Lambda", "Throttles", "FunctionName", "${var.name}-${name}"]] },
    { title = "Duration, ms", stat = "p90", metrics = [for name in keys(local.enabled) : ["AWS/Lambda", "Duration", "FunctionName", "${var.name}-${name}"]] },
    { title = "API", stat = "Sum", metrics = [for metric in ["Count", "4xx", "5xx"] : ["AWS/ApiGateway", metric, "ApiId", aws_apigatewayv2_api.this.id]] },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [for number, widget in local.widgets : {
      type   = "metric"
      x      = number % 3 * 8
      y      = floor(number / 3) * 6
      width  = 8
      height = 6
      properties = {
        title   = widget.title
        region  = local.region
        stat    = widget.stat
        period  = 60
        metrics = [for metric in widget.metrics : length(metric) == 2 ? concat(metric, ["Installation", local.table_name]) : metric]
      }
    }]
  })
}
