output "url" {
  description = "Where Sluice is reached."
  value       = local.public_url
}

output "notifications_url" {
  description = "The URL of notification configurations."
  value       = "${local.public_url}/notifications"
}

output "run_tasks_url" {
  description = "What URLs of run tasks begin with: the task's name follows after a slash. Null without the gate."
  value       = var.gate ? "${local.public_url}/run-tasks" : null
}

output "run_task_urls" {
  description = "The URLs of the run tasks that are inputs, by name."
  value       = { for name in keys(var.tasks) : name => "${local.public_url}/run-tasks/${name}" }
}

output "api_id" {
  description = "The API's id, for a domain name of your own."
  value       = aws_apigatewayv2_api.this.id
}

output "table_name" {
  description = "The table's name: WORKSPACE_DEPENDENCIES_TABLE of the sluice command."
  value       = aws_dynamodb_table.this.name
}

output "table_arn" {
  description = "The table's ARN."
  value       = aws_dynamodb_table.this.arn
}

output "functions" {
  description = "ARNs of the functions, by function."
  value       = { for name, function in aws_lambda_function.this : name => function.arn }
}

output "roles" {
  description = "ARNs of their roles, by function. That of job-runner is for an access entry of the cluster."
  value       = { for name, role in aws_iam_role.function : name => role.arn }
}
