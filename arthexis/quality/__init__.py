"""Quality: rules that any installed plugin can be measured by, looked at from outside and in processes of their own."""
