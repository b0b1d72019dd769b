/**
 * Runaways: each method here would, untamed, keep its process busy for ever or fill its memory. Each has to end in an error soon, with the process
 * alive and able to run the next one. Attacks invariants 1 and 3 of runtime/compartment/meter.ts, and caps.ts.
 */
import { Realm } from './support/realm.js';

/** Running time given to each; the error has to come within WITHIN_MS, on a busy machine. */
const LIMITS = { runTimeMs: 200 };
const WITHIN_MS = 8000;

let realm: Realm;

beforeAll(() => {
  realm = new Realm();
});
afterAll(() => realm.stop());

const runaways: Record<string, readonly string[]> = {
  'loops, recursion and promises': [
    'async () => ({valueOf(){return 2n}})**({valueOf(){return 2n**40n}})',
    'async () => { const f=()=>Promise.resolve().then(f); await f() }',
    'async () => { const t={}; t.then=[].forEach.bind([t]); await t }',
    'async () => { const t={}; const p=Promise.resolve(t); t.then=p.then.bind(p); await t }',
    'async () => { const t={then(r){r(t)}}; await t }',
    'async () => { const t={get then(){ return (r)=>r(t) }}; await t }',
    'async () => { const f=async()=>{ for(;;) await null }; await f() }',
    'async () => { async function* g(){ for(;;) yield 1 } for await (const x of g()); }',
    'async () => { function* g(){ for(;;) yield 1 } return await Promise.all(g()) }',
    'async () => { for await (const x of {[Symbol.asyncIterator]:()=>({next:Promise.resolve.bind(Promise,{done:false})})}); }',
    'async () => { const o={valueOf(){ for(;;); }}; return o*1 }',
    'async () => { const o={get a(){ return this.a }}; return o.a }',
    'async () => { let f=()=>1; for(let i=0;i<1e7;i++) f=f.bind(); return f() }',
  ],
  'iterators and callbacks in native loops': [
    'async () => new Uint8Array({[Symbol.iterator]:()=>({next:Object})})',
    `async () => { const o={toString(){return 'x'.repeat(1e6)}}; let s=''; for(;;) s+=o }`,
    'async () => JSON.stringify({get a(){ return {__proto__:null, b:this} }})',
    'async () => { function* g(){ for(;;) yield 1 } for (const x of g()); }',
    'async () => { function* g(){ for(;;) yield 1 } return [...g()] }',
    'async () => { function* g(){ for(;;) yield 1 } return Math.max(...g()) }',
    'async () => { function* g(){ for(;;) yield 1 } return new Set(g()) }',
    'async () => { function* g(){ for(;;) yield {} } return new Set(g()) }',
    'async () => { function* g(){ for(;;) yield [{},1] } return new Map(g()) }',
    'async () => { function* g(){ for(;;) yield [1,1] } return Object.fromEntries(g()) }',
    'async () => { function* g(){ for(;;) yield 1 } const [a,...b]=g() }',
    'async () => { function* g(){ yield* g() } return [...g()] }',
    'async () => Array.from({[Symbol.iterator]:()=>({next:Object})})',
    'async () => new Map({[Symbol.iterator]:()=>({next:Object})})',
    'async () => new WeakSet({[Symbol.iterator]:()=>({next:()=>({value:{}})})})',
    'async () => Promise.race({[Symbol.iterator]:()=>({next:Object})})',
    'async () => new AggregateError({[Symbol.iterator]:()=>({next:Object})})',
    'async () => Object.fromEntries({[Symbol.iterator]:()=>({next:()=>({value:[1,1]})})})',
    'async () => [...[].values.call({length:2**53})]',
    'async () => { const [a,...r]=[].values.call({length:2**53}) }',
    'async () => [].map.call({length:2**53-1},Object)',
    'async () => [].forEach.call({length:2**53-1},Object)',
    'async () => [].indexOf.call({length:2**53-1},1)',
    'async () => [].includes.call({get length(){return 2**53-1}},1)',
    'async () => { let n=0; return [].forEach.call({get length(){return n++?2**53-1:0}},Object) }',
    'async () => { const a=[]; a.length=2**32-1; a.forEach(Object) }',
    'async () => { const a=[]; a.length=2**32-1; return a.indexOf(1) }',
    'async () => { const a=[]; a.length=2**32-1; a.reverse() }',
    'async () => { const a=[]; a.length=2**32-1; a.shift() }',
    'async () => { const a=[]; a.length=2**32-2; a.unshift(1) }',
    'async () => { const a=[]; a.length=2**32-1; a.splice(0,1) }',
    'async () => { const a=[]; a.length=2**32-1; a.sort() }',
    'async () => [].push.apply([],{length:1e8})',
    'async () => Math.max.apply(null,{length:1e8})',
    'async () => Reflect.apply(Math.max,null,{length:1e8})',
    'async () => Reflect.construct(Date,{length:1e8})',
    'async () => { let s=1; [3,2,1,5,4].sort(()=>{ for(;;); }) }',
    `async () => 'abc'.replace(/b/,()=>{ for(;;); })`,
    `async () => JSON.parse('[1]',()=>{ for(;;); })`,
    'async () => JSON.stringify({a:1},()=>{ for(;;); })',
    `async () => { const o={toString(){ for(;;); }}; return ''+o }`,
    'async () => { const o={[Symbol.toPrimitive](){ for(;;); }}; return `${o}` }',
    'async () => { const o={get a(){ for(;;); }}; return o.a }',
    'async () => { const s=new Set([1]); s.forEach(x=>{ s.delete(x); s.add(x) }) }',
    'async () => { const m=new Map([[1,1]]); m.forEach((v,k)=>{ m.delete(k); m.set(k,1) }) }',
    'async () => { const a=new Array(3e6).fill(1); for(;;) a.toString() }',
    'async () => { const a=new Uint8Array(6e7); for(;;) a.sort() }',
  ],
  memory: [
    `async () => 'x'.repeat(2**29)`,
    `async () => { const a=[]; for(;;) a.push('x'.repeat(2**22)) }`,
    `async () => 'x'.padStart(2**29)`,
    `async () => 'x'.padEnd(2**28, 'ab')`,
    'async () => Array(1e9).fill(0)',
    'async () => new Array(1e9).fill(0)',
    'async () => new Array(33554431)',
    'async () => { const a=[]; for(;;) a.push(new Array(30000000)) }',
    'async () => { const a=[]; for(;;) a.push([].constructor(30000000)) }',
    'async () => { const A=Array; const a=[]; for(;;) a.push(A(30000000)) }',
    'async () => { const a=[]; for(;;) { const b=[]; b.length=30000000; a.push(b) } }',
    'async () => Array.from({length:1e9})',
    'async () => Array.from({length:2**53}, (x,i)=>i)',
    `async () => new Array(2**32-1).join('x')`,
    'async () => new ArrayBuffer(2**32)',
    'async () => new Uint8Array(2**32)',
    'async () => { const a=[]; for(;;) a.push(new Uint8Array(2**20)) }',
    'async () => { const a=[]; for(;;) a.push(new ArrayBuffer(2**20)) }',
    'async () => new (new Uint8Array(1).constructor)(2**32)',
    'async () => new (Object.getPrototypeOf(Uint8Array.prototype).constructor)(2**32)',
    'async () => Uint8Array.from({length:2**32})',
    'async () => new Float64Array({length:2**32})',
    'async () => new ArrayBuffer(1,{maxByteLength:2**33}).resize(2**33)',
    `async () => { let s='x'; for(;;) s+=s }`,
    `async () => { let s='x'; for(;;) s=s+s }`,
    `async () => { let s='x'; for(;;) s=\`\${s}\${s}\` }`,
    `async () => { let s='x'; for(;;) s=s.concat(s) }`,
    `async () => { let s='x'; for(;;) s=[s,s].join('') }`,
    `async () => { let s='x'.repeat(1000); for(;;) s=s.replaceAll('x',s) }`,
    `async () => { let s='ab'; for(;;) s=s.replace(/b/,"$\`$&$\`b") }`,
    `async () => { const o={s:'x'}; for(;;) o.s+=o.s }`,
    `async () => { const o={s:'x'}; for(;;) o['s']+=o.s }`,
    `async () => { const o=['x']; for(;;) o[0]+=o[0] }`,
    `async () => { let s=''; for(;;) s+='xxxxxxxx' }`,
    'async () => 2n**(2n**40n)',
    'async () => 3n**600000000n',
    'async () => { let x=3n; for(;;) x*=x }',
    'async () => { let x=3n; for(;;) x**=2n }',
    'async () => { let x=3n; for(;;) x=x*x }',
    'async () => { let x=3n; for(;;) x<<=x }',
    `async () => BigInt('9'.repeat(1e7))`,
    'async () => BigInt.asUintN(2**30,-1n)',
    'async () => { let a=[1]; for(;;) a=a.concat(a) }',
    'async () => { let a=[1]; for(;;) a=[...a,...a] }',
    'async () => { let a=[1]; for(;;) a.push(...a) }',
    'async () => { let a=[]; for(let i=0;i<40;i++) a=[a,a]; return JSON.stringify(a) }',
    'async () => { let a=[]; for(let i=0;i<40;i++) a={a,b:a}; return JSON.stringify(a) }',
    'async () => { let a=[]; for(let i=0;i<40;i++) a=[a,a]; return a.flat(Infinity).length }',
    'async () => { let a=[]; for(let i=0;i<40;i++) a=[a,a]; return String(a).length }',
    'async () => { let a=[]; for(let i=0;i<40;i++) a=[a,a]; return a.join() }',
    `async () => { let a='x'; for(let i=0;i<40;i++) a=[a,a]; return \`\${a}\`.length }`,
    'async () => JSON.stringify({toJSON(){ return {a:this} }})',
    `async () => JSON.stringify('x'.repeat(3e7))`,
    'async () => String.raw({raw:{length:2**31}})',
    `async () => String.raw({raw:'x'.repeat(1e6)})`,
    'async () => { const m=new Map(); for(;;) m.set({}, 1) }',
    'async () => { const s=new Set(); let i=0; for(;;) s.add(i++) }',
    `async () => { const o={}; let i=0; for(;;) o['k'+(i++)]=1 }`,
    'async () => { const a=[]; for(;;) a.push({}) }',
    'async () => { const a=[]; for(;;) a.push([1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]) }',
    `async () => { const a=[]; const x='abcdefghij'.repeat(10000); for(;;) a.push(x.split('')) }`,
    'async () => { const a=[]; const x=new Array(100000).fill(0); for(;;) a.push(x.map(y=>({}))) }',
    'async () => { const a=[]; const x=new Array(100000).fill(0); for(;;) a.push(x.slice()) }',
    `async () => { const a=[]; const o={}; for(let i=0;i<100000;i++) o['k'+i]=i; for(;;) a.push({...o}) }`,
    `async () => { const a=[]; const o={}; for(let i=0;i<100000;i++) o['k'+i]=i; for(;;) a.push(Object.keys(o)) }`,
    `async () => { const a=[]; const o={}; for(let i=0;i<100000;i++) o['k'+i]=i; for(;;) a.push(Object.assign({},o)) }`,
    `async () => { const a=[]; const t='['+'0,'.repeat(1e6)+'0]'; for(;;) a.push(JSON.parse(t)) }`,
    'async () => { const A=Array; const a=[]; for(;;) a.push(A(30000000)) }',
    'async () => { const a=[]; for(;;) { const b=[]; b.length=30000000; a.push(b) } }',
    `async () => { const a=[]; const o={}; for(let i=0;i<100000;i++) o['k'+i]=i; for(;;) a.push({...o}) }`,
    `async () => { const a=[]; const o={}; for(let i=0;i<100000;i++) o['k'+i]=i; for(;;) a.push(Object.keys(o)) }`,
    `async () => { const a=[]; const o={}; for(let i=0;i<100000;i++) o['k'+i]=i; for(;;) a.push(Object.assign({},o)) }`,
    'async () => { const a=[]; a[4294967294]=1; return a.every(x=>true) }',
    'async () => [].concat({length:2**53-1,[Symbol.isConcatSpreadable]:true})',
    'async () => new Proxy({}, {get(){ for(;;); }}).x',
    `async () => 'a'.repeat(1e6).replace('a'.repeat(25e4)+'b'+'a'.repeat(25e4),'')`,
    'async () => { const o={}; let p=o; for(;;) p=Object.create(p) }',
    `async () => { const e=[]; for(;;) e.push(new Error('x')) }`,
    `async () => { let e; for(;;) e=new Error('x',{cause:e}) }`,
    `async () => encodeURIComponent('ä'.repeat(1.6e7))`,
    `async () => { let s='ä'; for(;;) s=encodeURIComponent(s) }`,
    `async () => { let s='"'.repeat(1e7); return s.anchor(s).length }`,
    'async () => { const a=new Array(3e6).fill(1); for(;;) a.indexOf(2) }',
    'async () => { const a=new Uint8Array(6e7); for(;;) a.indexOf(2) }',
    'async () => { const a=new Uint8Array(6e7); return a.join().length }',
    'async () => { const a=new Uint8Array(6e7); return {...a} }',
    'async () => { const a=new Uint8Array(3e7); for(;;) a.slice() }',
    `async () => { const x='1'.repeat(3e7), y='1'.repeat(3e7-1)+'2'; for(;;) x===y }`,
    `async () => { const x='1'.repeat(3e7); for(;;) +x }`,
    `async () => { const x='1'.repeat(3e7); for(;;) x*1 }`,
    `async () => { const x='1'.repeat(3e7); for(;;) x.charCodeAt(5) }`,
    `async () => { let s='1'.repeat(3e7); const a=[]; for(;;) { const t=s+a.length; t.charCodeAt(0); a.push(t) } }`,
  ],
  'regular expressions': [
    `async () => { let s='xxxxxxxxxx'; for(;;) s=s.replace(/x/g,'xx') }`,
    `async () => /^(a+)+b/i.test('a'.repeat(1e5)+'c')`,
    `async () => /^(a+)+b/u.test('a'.repeat(50)+'c')`,
    `async () => /^(?=(a+)+b)/.test('a'.repeat(50)+'c')`,
    `async () => /^(a|a)*\\1b/.test('a'.repeat(50)+'c')`,
    `async () => /(?:a{0,100}){0,100}b/.test('a'.repeat(50))`,
    `async () => 'x'.repeat(5000).replace(/(x+x+)+y/gi,'')`,
    `async () => 'x'.repeat(5000).split(/(x+x+)+y/i).length`,
    `async () => 'x'.repeat(50).search(/(x+x+)+y/i)`,
    `async () => [...'x'.repeat(50).matchAll(/(x+x+)+y/gi)]`,
    `async () => /\\s+$/i.test(' '.repeat(2e5)+'x')`,
    `async () => /a*a*a*a*b/i.test('a'.repeat(2000))`,
    `async () => new RegExp('(x+x+)+y','i').test('x'.repeat(50))`,
    `async () => { const r=/x/g; r.exec=Object; return 'a'.replace(r,'') }`,
    `async () => RegExp.prototype[Symbol.replace].call({exec:Object,flags:'g'},'a','b')`,
    `async () => RegExp.prototype[Symbol.match].call({exec:Object,flags:'g'},'a')`,
    `async () => RegExp.prototype.test.call({exec:()=>{for(;;);}},'a')`,
    `async () => { const r=/x/y; r.lastIndex={valueOf(){for(;;);}}; return r.test('x') }`,
  ],
  'catching the budget': [
    `async () => { for(;;) { try { /^(a+)+b/i.test('a'.repeat(50)+'c') } catch {} } }`,
    'async () => { try { for(;;); } catch { try { for(;;); } finally { for(;;); } } finally { for(;;); } }',
    'async () => { const f=()=>{ try { f() } catch { f() } finally { f() } }; f() }',
    'async () => { const f=async()=>{ try { await f() } catch { await f() } finally { await f() } }; await f() }',
    `async () => { const f=()=>{ try { f() } catch { } return 1 }; f(); return 'swallowed' }`,
    `async () => { try { for(;;); } catch {} return 'swallowed' }`,
    `async () => { await (async()=>{ for(;;); })().catch(()=>{}); return 'swallowed' }`,
    `async () => { await new Promise(()=>{ for(;;); }).catch(()=>{}); return 'swallowed' }`,
  ],
};

for (const [kind, sources] of Object.entries(runaways)) {
  describe(kind, () => {
    test.each(sources)('%s', async (source) => {
      const outcome = await realm.call(source, { limits: LIMITS });
      expect(outcome.ok).toBe(false);
      expect(outcome.error?.code ?? outcome.error?.name).toMatch(/^(BUDGET|RangeError|TypeError|ReferenceError)$/);
      expect(outcome.ms).toBeLessThan(WITHIN_MS);
      expect(realm.alive).toBe(true);
    });
  });
}

test('after all that the same process answers as before', async () => {
  const { ok, value } = await realm.call(
    'async (self, n) => { self.balance = self.balance + n; return self.balance }',
    { args: [41] },
  );
  expect({ ok, value }).toEqual({ ok: true, value: '42' });
});

test('the heap: a method that may run long is stopped when the share of methods is full, and the process lives', async () => {
  const outcome = await realm.call('async () => { const a = []; for (;;) a.push(new Array(1000000).fill(0)) }', {
    limits: { runTimeMs: 60_000, fuel: 1e12 },
  });
  expect(outcome.error).toMatchObject({ code: 'BUDGET', message: 'the memory of the host is used up' });
  expect((await realm.call('() => 1')).value).toBe('1');
});

test('what V8 does slowly is done by algorithms of our own, with the right answer', async () => {
  const needle = "'a'.repeat(25e4) + 'b' + 'a'.repeat(25e4)";
  for (const [source, value] of [
    [`() => 'a'.repeat(1e6).indexOf(${needle})`, '-1'],
    [`() => ('a'.repeat(1e6) + 'b' + 'a'.repeat(1e6)).indexOf(${needle})`, '750000'],
    [`() => 'a'.repeat(1e6).includes(${needle})`, 'false'],
    [`() => 'a'.repeat(1e6).lastIndexOf('a'.repeat(5e5) + 'b')`, '-1'],
    [`() => ('a'.repeat(1e6) + 'b' + 'a'.repeat(1e6)).split(${needle}).map((s) => s.length)`, '[750000,750000]'],
    ['() => /^(a+)+b/.test("a".repeat(1e5) + "c")', 'false'],
  ] as const) {
    expect(await realm.call(source, { limits: { runTimeMs: 5000 } })).toMatchObject({ ok: true, value });
  }
});
