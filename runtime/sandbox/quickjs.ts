/** The one importer of QuickJS: a fresh engine whose WebAssembly memory can't grow past `memoryBytes`. */
import * as release from '@jitl/quickjs-wasmfile-release-sync';
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSSyncVariant,
  type QuickJSWASMModule,
} from 'quickjs-emscripten-core';

export type { QuickJSContext, QuickJSHandle } from 'quickjs-emscripten-core';

/** What is used of a global that Node has and its types leave out. */
interface WasmMemory {
  readonly buffer: ArrayBuffer;
}
declare const WebAssembly: { readonly Memory: new (pages: { initial: number; maximum: number }) => WasmMemory };

/** The package's types are those of CommonJS. */
const variant = release.default as unknown as QuickJSSyncVariant;

/** Bytes of a page of WebAssembly memory. */
const PAGE = 65_536;
/** What the build asks for at the start. */
const FIRST_PAGES = 256;

/**
 * An engine with a memory of its own. QuickJS's own limit counts every block as eight bytes in this build (1.5 GB were taken under a limit of
 * 32 MB), so the bound is that of the WebAssembly memory.
 */
export async function freshEngine(memoryBytes: number): Promise<{ engine: QuickJSWASMModule; memory: WasmMemory }> {
  const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: Math.floor(memoryBytes / PAGE) });
  const engine = await newQuickJSWASMModuleFromVariant(newVariant(variant, { wasmMemory: memory as never }));
  return { engine, memory };
}
