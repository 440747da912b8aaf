import { svelte } from "@sveltejs/vite-plugin-svelte";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

const input = ["index.html", "chat.html", "vue.html", "svelte.html", "many.html"];

export default defineConfig({ plugins: [svelte(), vue()], build: { rollupOptions: { input } } });
