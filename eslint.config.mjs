/** Strict and type-checked. Formatting is prettier's; what imports what is test/boundaries.test.ts's; dead exports are knip's. */
import tseslint from 'typescript-eslint';

const typed = {
  languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
};

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'coverage/', 'image/', '**/*.cjs', 'test/fixtures/images/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  { files: ['**/*.ts'], extends: [tseslint.configs.strictTypeChecked], ...typed },
  {
    files: ['**/*.ts'],
    rules: {
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'no-constant-condition': ['error', { checkLoops: 'allExceptWhileTrue' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: false },
      ],
      // Numbers in messages are quoted as they are; `never` and `unknown` are not.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // A port's method may be async by contract, and a fake of it have nothing to await.
      '@typescript-eslint/require-await': 'off',
      // Keys of a plain record are removed; drafts and caches live by it.
      '@typescript-eslint/no-dynamic-delete': 'off',
      // What crosses a process boundary is checked though its type says that it can't be otherwise.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // `x!` after a check that the compiler can't see, in hot loops over typed positional arrays.
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    // Tests look at what came over a wire as it came.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
    },
  },
  {
    // Built-ins are taken off their prototypes here, to be wrapped and called with another `this`.
    files: ['runtime/compartment/**/*.ts'],
    rules: { '@typescript-eslint/unbound-method': 'off' },
  },
  { files: ['**/*.mjs'], extends: [tseslint.configs.strict], rules: { eqeqeq: 'error' } },
);
