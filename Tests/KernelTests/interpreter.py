"""A small interpreter of PTX: enough of it to run the copy kernels on a CPU and to check their bytes, bounds and alignment."""
import re, sys, random
class Mem:
    def __init__(s): s.r=[]
    def add(s, base, size): b=bytearray(size); s.r.append((base,b)); return b
    def find(s,a,n):
        for base,b in s.r:
            if base<=a and a+n<=base+len(b): return b,a-base
        raise MemoryError(f'illegal address {a:#x} n {n}')
    def rd(s,a,n):
        if n in (4,8,16) and a%n: raise MemoryError(f'misaligned {a:#x} {n}')
        b,o=s.find(a,n); return bytes(b[o:o+n])
    def wr(s,a,d):
        if len(d) in (4,8,16) and a%len(d): raise MemoryError(f'misaligned {a:#x}')
        b,o=s.find(a,len(d)); b[o:o+len(d)]=d
def parse(text):
    text=re.sub(r'//.*','',text); ks={}
    for m in re.finditer(r'\.visible\s+\.entry\s+(\w+)\s*\((.*?)\)\s*\{(.*?)\n\}',text,re.S):
        params=re.findall(r'\.param\s+\.(u\d+)\s+(\w+)',m.group(2))
        code=[];labels={}
        for st in re.findall(r'[A-Z_]+:|[^;]+;',m.group(3)):
            st=' '.join(st.split())
            if st.endswith(':'): labels[st[:-1]]=len(code); continue
            st=st.rstrip(';').strip()
            mm=re.match(r'^([A-Z]+):\s*(.*)$',st)
            if mm: labels[mm.group(1)]=len(code); st=mm.group(2)
            if not st or st.startswith('.reg'): continue
            g=re.match(r'^@(!?)(%p\d+)\s+(.*)$',st)
            guard=(g.group(1)=='!',g.group(2)) if g else None
            body=g.group(3) if g else st
            op,_,args=body.partition(' ')
            code.append((guard,op,split(args),body))
        ks[m.group(1)]=(params,code,labels)
    return ks
def split(a):
    out=[];d=0;c=''
    for ch in a:
        if ch in '{[':d+=1
        if ch in '}]':d-=1
        if ch==',' and d==0: out.append(c.strip());c=''
        else: c+=ch
    if c.strip(): out.append(c.strip())
    return out
W={'u32':32,'b32':32,'u64':64,'b64':64,'s32':32}
def run(kern,args,grid,block,mem,shared=0,stats=None):
    params,code,labels=kern
    pv=dict((n,v) for (t,n),v in zip(params,args))
    for cta in range(grid):
        sh=bytearray(shared); bars={}
        for tid in range(block):
            R={'%tid.x':tid,'%ntid.x':block,'%ctaid.x':cta,'%nctaid.x':grid,'ring':0}
            pc=0;steps=0; groups=[]  # outstanding bulk store groups: list of lists
            cur=[]; inflight_loads=0
            def val(x):
                if x in R: return R[x]
                return int(x,0)
            def addr(x):
                x=x[1:-1]; b,_,o=x.partition('+'); return val(b)+(int(o) if o else 0)
            while pc<len(code):
                steps+=1
                if steps>5_000_000: raise RuntimeError('no end')
                guard,op,a,body=code[pc]; pc+=1
                if guard:
                    v=bool(R[guard[1]])
                    if guard[0]: v=not v
                    if not v: continue
                p=op.split('.')
                if op=='ret': break
                if p[0]=='bra': pc=labels[a[0]]; continue
                if op.startswith('ld.param'): R[a[0]]=pv[a[1][1:-1]]; continue
                if p[0]=='mov': R[a[0]]=val(a[1]); continue
                if p[0]=='ld':
                    if 'v4' in p:
                        d=mem.rd(addr(a[1]),16); 
                        for i,rn in enumerate(split(a[0][1:-1])): R[rn]=int.from_bytes(d[4*i:4*i+4],'little')
                    else:
                        n=W[p[-1]]//8; R[a[0]]=int.from_bytes(mem.rd(addr(a[1]),n),'little')
                    continue
                if p[0]=='st':
                    names=split(a[1][1:-1]) if a[1].startswith('{') else [a[1]]
                    d=b''.join(R[rn].to_bytes(4,'little') for rn in names); mem.wr(addr(a[0]),d); continue
                w=W.get(p[-1],32); M=(1<<w)-1
                if p[0] in('add','sub','min','xor','div','shl','shr'):
                    x,y=val(a[1])&M,val(a[2])&M
                    R[a[0]]={'add':x+y,'sub':x-y,'min':min(x,y),'xor':x^y,'div':(x//y if p[0]=='div' else 0),'shl':x<<y if p[0]=='shl' else 0,'shr':x>>y if p[0]=='shr' else 0}[p[0]]&M; continue
                if op in('mul.wide.u32',): R[a[0]]=((val(a[1])&0xffffffff)*(val(a[2])&0xffffffff)); continue
                if op.startswith('mul.lo'): R[a[0]]=(val(a[1])*val(a[2]))&M; continue
                if op.startswith('mad.lo'): R[a[0]]=(val(a[1])*val(a[2])+val(a[3]))&M; continue
                if op=='cvt.u64.u32': R[a[0]]=val(a[1])&0xffffffff; continue
                if op=='cvt.u32.u64': R[a[0]]=val(a[1])&0xffffffff; continue
                if p[0]=='setp':
                    x,y=val(a[1]),val(a[2]); R[a[0]]={'eq':x==y,'ne':x!=y,'lt':x<y,'ge':x>=y}[p[1]]; continue
                if op.startswith('mbarrier.init'): bars[addr(a[0])]={'pend':1,'init':val(a[1]),'tx':0,'phase':0}; continue
                if op.startswith('fence'): continue
                if op.startswith('mbarrier.arrive.expect_tx'):
                    b=bars[addr(a[1])]; b['tx']+=val(a[2]); b['pend']-=1; assert b['pend']==0; continue
                if op.startswith('cp.async.bulk.shared::cluster.global'):
                    dst,src,n,bar=addr(a[0]),addr(a[1]),val(a[2]),addr(a[3])
                    assert n%16==0 and src%16==0 and dst%16==0 and n>0
                    for g in groups+[cur]:
                        for (lo,hi) in g: assert hi<=dst or lo>=dst+n, 'ring slot overwritten while its store still reads it'
                    sh[dst:dst+n]=mem.rd(src,n); b=bars[bar]; b['tx']-=n; inflight_loads+=1
                    if stats is not None: stats['maxload']=max(stats.get('maxload',0),inflight_loads)
                    if b['tx']==0 and b['pend']==0: b['phase']^=1; b['pend']=b['init']
                    continue
                if op.startswith('mbarrier.try_wait.parity'):
                    b=bars[addr(a[1])]; R[a[0]]=(b['phase']!=(val(a[2])&1))
                    if not R[a[0]]: raise RuntimeError('would wait for ever')
                    inflight_loads-=1; continue
                if op.startswith('cp.async.bulk.global.shared::cta'):
                    dst,src,n=addr(a[0]),addr(a[1]),val(a[2]); assert n%16==0 and dst%16==0; mem.wr(dst,bytes(sh[src:src+n])) if n not in(4,8) else None; cur.append((src,src+n)); continue
                if op=='cp.async.bulk.commit_group': groups.append(cur);cur=[]; continue
                if op.startswith('cp.async.bulk.wait_group'):
                    n=int(a[0]); groups=groups[len(groups)-n:] if n and len(groups)>n else (groups if n else []); continue
                raise ValueError(f'an instruction that is not known here: {body}')
