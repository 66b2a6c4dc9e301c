export default { serverExternalPackages: ["nextpatch"], turbopack: { root: import.meta.dirname } };
