import { svelte } from "@sveltejs/vite-plugin-svelte";
import react from "@vitejs/plugin-react";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

const input = ["index.html", "chat.html", "vue.html", "svelte.html", "many.html"];

export default defineConfig({ plugins: [react(), svelte(), vue()], build: { rollupOptions: { input } } });
