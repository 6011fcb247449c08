output "notifications_url" {
  description = "The URL of notification configurations."
  value       = module.sluice.notifications_url
}

output "run_task_urls" {
  description = "The URLs of run tasks."
  value       = module.sluice.run_task_urls
}

output "table_name" {
  description = "WORKSPACE_DEPENDENCIES_TABLE of the sluice command."
  value       = module.sluice.table_name
}

output "url" {
  description = "Where Sluice is reached."
  value       = module.sluice.url
}
