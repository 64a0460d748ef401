/// The copy kernels as PTX text: the driver compiles them for the device that it finds, so that no compiler of the vendor's
/// is needed to build Roost. Tests/KernelTests runs this text in an interpreter.
enum KernelText {
  /// For every device since Volta: pieces by layer and block, and pieces by list.
  static let paged = #"""
    //
    // kvcopy.ptx - gather / scatter of paged KV blocks in 16-byte vectors (own work).
    // Plain PTX text; loaded at run time with cuModuleLoadData, JIT-compiled by the driver.
    //
    // kvc_copy_paged16: for layer L, entry B:
    //     src = src_bases[L] + (src_idx ? src_idx[B] : B) * src_stride
    //     dst = dst_bases[L] + (dst_idx ? dst_idx[B] : B) * dst_stride
    //     copies vecs*16 bytes.  idx == 0 means "contiguous" (staging side).
    // Any pointer may be device memory or mapped pinned host memory (UVA).
    // grid.x = any number of CTAs (2..16 are enough for PCIe), block.x = 32..1024.
    // 4 x 16 B are in flight per thread (64 KiB for a CTA of 1024 threads).
    //
    .version 7.0
    .target sm_70
    .address_size 64

    .visible .entry kvc_copy_paged16(
        .param .u64 p_src_bases,   // u64[n_layers]
        .param .u64 p_dst_bases,   // u64[n_layers]
        .param .u64 p_src_idx,     // u32[n_blocks] or 0
        .param .u64 p_dst_idx,     // u32[n_blocks] or 0
        .param .u64 p_src_stride,  // bytes
        .param .u64 p_dst_stride,  // bytes
        .param .u32 p_layers,
        .param .u32 p_blocks,
        .param .u32 p_vecs         // 16-byte vectors per piece
    )
    {
        .reg .pred  %p<8>;
        .reg .b32   %r<48>;
        .reg .b32   %v<16>;
        .reg .b64   %d<32>;

        ld.param.u64 %d0, [p_src_bases];
        ld.param.u64 %d1, [p_dst_bases];
        ld.param.u64 %d2, [p_src_idx];
        ld.param.u64 %d3, [p_dst_idx];
        ld.param.u64 %d4, [p_src_stride];
        ld.param.u64 %d5, [p_dst_stride];
        ld.param.u32 %r0, [p_layers];
        ld.param.u32 %r1, [p_blocks];
        ld.param.u32 %r2, [p_vecs];

        mov.u32 %r3, %tid.x;
        mov.u32 %r4, %ntid.x;
        mov.u32 %r5, %ctaid.x;
        mov.u32 %r6, %nctaid.x;

        shl.b32  %r7, %r4, 2;               // vectors per tile = 4 * ntid
        add.u32  %r8, %r2, %r7;
        sub.u32  %r8, %r8, 1;
        div.u32  %r8, %r8, %r7;             // tiles per piece
        mul.lo.u32 %r9, %r0, %r1;           // pieces = layers * blocks
        mul.wide.u32 %d6, %r9, %r8;         // tiles in all (64-bit)
        cvt.u64.u32 %d7, %r5;               // tile = ctaid
        cvt.u64.u32 %d8, %r6;               // step = nctaid
        cvt.u64.u32 %d9, %r8;
        setp.eq.u64 %p1, %d2, 0;            // no src index list
        setp.eq.u64 %p2, %d3, 0;            // no dst index list

    TILE:
        setp.ge.u64 %p0, %d7, %d6;
        @%p0 bra DONE;
        div.u64  %d10, %d7, %d9;            // piece
        mul.lo.u64 %d11, %d10, %d9;
        sub.u64  %d11, %d7, %d11;           // tile inside the piece
        cvt.u32.u64 %r10, %d10;
        cvt.u32.u64 %r11, %d11;
        div.u32  %r12, %r10, %r1;           // layer
        mul.lo.u32 %r13, %r12, %r1;
        sub.u32  %r13, %r10, %r13;          // entry
        mul.wide.u32 %d12, %r12, 8;
        add.u64  %d13, %d0, %d12;
        add.u64  %d14, %d1, %d12;
        ld.global.nc.u64 %d15, [%d13];      // src base
        ld.global.nc.u64 %d16, [%d14];      // dst base
        mul.wide.u32 %d17, %r13, 4;
        mov.u32  %r14, %r13;
        mov.u32  %r15, %r13;
        add.u64  %d18, %d2, %d17;
        add.u64  %d19, %d3, %d17;
        @!%p1 ld.global.nc.u32 %r14, [%d18];
        @!%p2 ld.global.nc.u32 %r15, [%d19];
        cvt.u64.u32 %d20, %r14;
        cvt.u64.u32 %d21, %r15;
        mad.lo.u64 %d15, %d20, %d4, %d15;   // src piece
        mad.lo.u64 %d16, %d21, %d5, %d16;   // dst piece
        mad.lo.u32 %r16, %r11, %r7, %r3;    // v0 = part * tile + tid
        add.u32  %r17, %r16, %r4;           // v1
        add.u32  %r18, %r17, %r4;           // v2
        add.u32  %r19, %r18, %r4;           // v3
        mul.wide.u32 %d22, %r16, 16;
        add.u64  %d15, %d15, %d22;
        add.u64  %d16, %d16, %d22;
        mul.wide.u32 %d23, %r4, 16;         // byte step between the 4 vectors
        add.u64  %d24, %d15, %d23;
        add.u64  %d25, %d24, %d23;
        add.u64  %d26, %d25, %d23;
        add.u64  %d27, %d16, %d23;
        add.u64  %d28, %d27, %d23;
        add.u64  %d29, %d28, %d23;
        setp.lt.u32 %p3, %r16, %r2;
        setp.lt.u32 %p4, %r17, %r2;
        setp.lt.u32 %p5, %r18, %r2;
        setp.lt.u32 %p6, %r19, %r2;
        @%p3 ld.global.nc.v4.u32 {%v0,%v1,%v2,%v3},     [%d15];
        @%p4 ld.global.nc.v4.u32 {%v4,%v5,%v6,%v7},     [%d24];
        @%p5 ld.global.nc.v4.u32 {%v8,%v9,%v10,%v11},   [%d25];
        @%p6 ld.global.nc.v4.u32 {%v12,%v13,%v14,%v15}, [%d26];
        @%p3 st.global.cg.v4.u32 [%d16], {%v0,%v1,%v2,%v3};
        @%p4 st.global.cg.v4.u32 [%d27], {%v4,%v5,%v6,%v7};
        @%p5 st.global.cg.v4.u32 [%d28], {%v8,%v9,%v10,%v11};
        @%p6 st.global.cg.v4.u32 [%d29], {%v12,%v13,%v14,%v15};
        add.u64  %d7, %d7, %d8;
        bra.uni TILE;
    DONE:
        ret;
    }

    //
    // kvc_copy_list16: n descriptors {u64 src; u64 dst; u64 bytes}, bytes % 16 == 0,
    // addresses 16-byte aligned.  One descriptor per CTA turn.
    //
    .visible .entry kvc_copy_list16(
        .param .u64 p_desc,
        .param .u32 p_n
    )
    {
        .reg .pred  %p<8>;
        .reg .b32   %r<32>;
        .reg .b32   %v<16>;
        .reg .b64   %d<32>;

        ld.param.u64 %d0, [p_desc];
        ld.param.u32 %r0, [p_n];
        mov.u32 %r1, %tid.x;
        mov.u32 %r2, %ntid.x;
        mov.u32 %r3, %ctaid.x;
        mov.u32 %r4, %nctaid.x;
        cvt.u64.u32 %d1, %r1;               // tid
        cvt.u64.u32 %d2, %r2;               // ntid
        shl.b64  %d3, %d2, 2;               // vectors per step
        shl.b64  %d4, %d2, 4;               // bytes between a thread's vectors
        shl.b64  %d5, %d2, 6;               // bytes per step

    JOB:
        setp.ge.u32 %p0, %r3, %r0;
        @%p0 bra LDONE;
        mul.wide.u32 %d6, %r3, 24;
        add.u64  %d6, %d0, %d6;
        ld.global.nc.u64 %d7, [%d6];        // src
        ld.global.nc.u64 %d8, [%d6+8];      // dst
        ld.global.nc.u64 %d9, [%d6+16];     // bytes
        shr.u64  %d9, %d9, 4;               // vectors
        mov.u64  %d10, %d1;                 // v0
        shl.b64  %d11, %d1, 4;
        add.u64  %d7, %d7, %d11;
        add.u64  %d8, %d8, %d11;
    STEP:
        setp.ge.u64 %p1, %d10, %d9;
        @%p1 bra NEXT;
        add.u64  %d12, %d10, %d2;
        add.u64  %d13, %d12, %d2;
        add.u64  %d14, %d13, %d2;
        setp.lt.u64 %p2, %d12, %d9;
        setp.lt.u64 %p3, %d13, %d9;
        setp.lt.u64 %p4, %d14, %d9;
        add.u64  %d15, %d7, %d4;
        add.u64  %d16, %d15, %d4;
        add.u64  %d17, %d16, %d4;
        add.u64  %d18, %d8, %d4;
        add.u64  %d19, %d18, %d4;
        add.u64  %d20, %d19, %d4;
             ld.global.nc.v4.u32 {%v0,%v1,%v2,%v3},     [%d7];
        @%p2 ld.global.nc.v4.u32 {%v4,%v5,%v6,%v7},     [%d15];
        @%p3 ld.global.nc.v4.u32 {%v8,%v9,%v10,%v11},   [%d16];
        @%p4 ld.global.nc.v4.u32 {%v12,%v13,%v14,%v15}, [%d17];
             st.global.cg.v4.u32 [%d8],  {%v0,%v1,%v2,%v3};
        @%p2 st.global.cg.v4.u32 [%d18], {%v4,%v5,%v6,%v7};
        @%p3 st.global.cg.v4.u32 [%d19], {%v8,%v9,%v10,%v11};
        @%p4 st.global.cg.v4.u32 [%d20], {%v12,%v13,%v14,%v15};
        add.u64  %d10, %d10, %d3;
        add.u64  %d7, %d7, %d5;
        add.u64  %d8, %d8, %d5;
        bra.uni STEP;
    NEXT:
        add.u32  %r3, %r3, %r4;
        bra.uni JOB;
    LDONE:
        ret;
    }
    """#

  /// For Hopper and later: staged through shared memory by the bulk copy engine.
  static let bulk = #"""
    //
    // kvcopy_sm90.ptx - the same paged copy, staged through shared memory by the
    // bulk copy engine of Hopper and later (cp.async.bulk).  Own work.
    // One thread of each CTA drives a ring of p_stages buffers of p_stage_bytes;
    // p_stages - 1 loads stay in flight while earlier stages are stored.
    // Launch: block.x = 32, dynamic shared = p_stages * p_stage_bytes + 128,
    // p_stages in 2..16, p_stage_bytes % 128 == 0, piece bytes % 16 == 0.
    //
    .version 8.0
    .target sm_90
    .address_size 64

    .extern .shared .align 128 .b8 ring[];

    .visible .entry kvc_copy_paged_bulk(
        .param .u64 p_src_bases,
        .param .u64 p_dst_bases,
        .param .u64 p_src_idx,
        .param .u64 p_dst_idx,
        .param .u64 p_src_stride,
        .param .u64 p_dst_stride,
        .param .u32 p_layers,
        .param .u32 p_blocks,
        .param .u32 p_bytes,        // bytes per piece
        .param .u32 p_stage_bytes,
        .param .u32 p_stages
    )
    {
        .reg .pred  %p<12>;
        .reg .b32   %r<64>;
        .reg .b64   %d<40>;

        mov.u32 %r0, %tid.x;
        setp.ne.u32 %p0, %r0, 0;
        @%p0 bra OUT;

        ld.param.u64 %d0, [p_src_bases];
        ld.param.u64 %d1, [p_dst_bases];
        ld.param.u64 %d2, [p_src_idx];
        ld.param.u64 %d3, [p_dst_idx];
        ld.param.u64 %d4, [p_src_stride];
        ld.param.u64 %d5, [p_dst_stride];
        ld.param.u32 %r1, [p_layers];
        ld.param.u32 %r2, [p_blocks];
        ld.param.u32 %r3, [p_bytes];
        ld.param.u32 %r4, [p_stage_bytes];
        ld.param.u32 %r5, [p_stages];
        setp.eq.u64 %p1, %d2, 0;
        setp.eq.u64 %p2, %d3, 0;

        mov.u32 %r6, ring;                  // shared address: 128 bytes of barriers, then the ring
        add.u32 %r7, %r6, 128;

        // barriers
        mov.u32 %r8, 0;
    INIT:
        shl.b32 %r9, %r8, 3;
        add.u32 %r9, %r6, %r9;
        mbarrier.init.shared::cta.b64 [%r9], 1;
        add.u32 %r8, %r8, 1;
        setp.lt.u32 %p3, %r8, %r5;
        @%p3 bra INIT;
        fence.proxy.async.shared::cta;

        // this CTA's pieces: q = ctaid + k * nctaid, k = 0 ..< count
        mov.u32 %r10, %ctaid.x;
        mov.u32 %r11, %nctaid.x;
        add.u32 %r12, %r3, %r4;
        sub.u32 %r12, %r12, 1;
        div.u32 %r12, %r12, %r4;            // parts per piece
        mul.lo.u32 %r13, %r1, %r2;
        mul.lo.u32 %r13, %r13, %r12;        // parts in all
        setp.ge.u32 %p3, %r10, %r13;
        @%p3 bra OUT;
        sub.u32 %r14, %r13, %r10;
        add.u32 %r14, %r14, %r11;
        sub.u32 %r14, %r14, 1;
        div.u32 %r14, %r14, %r11;           // count
        mov.u32 %r15, 0;                    // j: loads issued
        mov.u32 %r16, 0;                    // k: stores issued
        mov.u32 %r17, 0;                    // slot of j
        mov.u32 %r18, 0;                    // slot of k
        mov.u32 %r19, 0;                    // parity of k

    LOADS:
        setp.ge.u32 %p3, %r15, %r14;
        @%p3 bra STORE;
        setp.lt.u32 %p4, %r15, %r5;         // first fill of the ring
        @%p4 bra ISSUE;
        add.u32 %r20, %r16, %r5;
        sub.u32 %r20, %r20, 1;
        setp.ge.u32 %p3, %r15, %r20;        // keep one store in flight
        @%p3 bra STORE;
        cp.async.bulk.wait_group.read 1;    // the slot's store has read its bytes
    ISSUE:
        mad.lo.u32 %r21, %r15, %r11, %r10;  // q
        div.u32 %r22, %r21, %r12;           // piece
        mul.lo.u32 %r23, %r22, %r12;
        sub.u32 %r23, %r21, %r23;           // part
        div.u32 %r24, %r22, %r2;            // layer
        mul.lo.u32 %r25, %r24, %r2;
        sub.u32 %r25, %r22, %r25;           // entry
        mul.wide.u32 %d6, %r24, 8;
        add.u64 %d7, %d0, %d6;
        ld.global.nc.u64 %d8, [%d7];
        mul.wide.u32 %d9, %r25, 4;
        add.u64 %d9, %d2, %d9;
        mov.u32 %r26, %r25;
        @!%p1 ld.global.nc.u32 %r26, [%d9];
        cvt.u64.u32 %d10, %r26;
        mad.lo.u64 %d8, %d10, %d4, %d8;
        mul.lo.u32 %r27, %r23, %r4;         // offset in the piece
        cvt.u64.u32 %d11, %r27;
        add.u64 %d8, %d8, %d11;
        sub.u32 %r28, %r3, %r27;
        min.u32 %r28, %r28, %r4;            // bytes of this part
        shl.b32 %r29, %r17, 3;
        add.u32 %r29, %r6, %r29;            // barrier
        mad.lo.u32 %r30, %r17, %r4, %r7;    // buffer
        mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r29], %r28;
        cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r30], [%d8], %r28, [%r29];
        add.u32 %r15, %r15, 1;
        add.u32 %r17, %r17, 1;
        setp.eq.u32 %p5, %r17, %r5;
        @%p5 mov.u32 %r17, 0;
        bra.uni LOADS;

    STORE:
        setp.ge.u32 %p6, %r16, %r14;
        @%p6 bra FINISH;
        shl.b32 %r31, %r18, 3;
        add.u32 %r31, %r6, %r31;
    WAIT:
        mbarrier.try_wait.parity.shared::cta.b64 %p7, [%r31], %r19;
        @!%p7 bra WAIT;
        mad.lo.u32 %r32, %r16, %r11, %r10;
        div.u32 %r33, %r32, %r12;
        mul.lo.u32 %r34, %r33, %r12;
        sub.u32 %r34, %r32, %r34;
        div.u32 %r35, %r33, %r2;
        mul.lo.u32 %r36, %r35, %r2;
        sub.u32 %r36, %r33, %r36;
        mul.wide.u32 %d12, %r35, 8;
        add.u64 %d13, %d1, %d12;
        ld.global.nc.u64 %d14, [%d13];
        mul.wide.u32 %d15, %r36, 4;
        add.u64 %d15, %d3, %d15;
        mov.u32 %r37, %r36;
        @!%p2 ld.global.nc.u32 %r37, [%d15];
        cvt.u64.u32 %d16, %r37;
        mad.lo.u64 %d14, %d16, %d5, %d14;
        mul.lo.u32 %r38, %r34, %r4;
        cvt.u64.u32 %d17, %r38;
        add.u64 %d14, %d14, %d17;
        sub.u32 %r39, %r3, %r38;
        min.u32 %r39, %r39, %r4;
        mad.lo.u32 %r40, %r18, %r4, %r7;
        fence.proxy.async.shared::cta;
        cp.async.bulk.global.shared::cta.bulk_group [%d14], [%r40], %r39;
        cp.async.bulk.commit_group;
        add.u32 %r16, %r16, 1;
        add.u32 %r18, %r18, 1;
        setp.eq.u32 %p8, %r18, %r5;
        @%p8 mov.u32 %r18, 0;
        @%p8 xor.b32 %r19, %r19, 1;
        bra.uni LOADS;

    FINISH:
        cp.async.bulk.wait_group 0;
    OUT:
        ret;
    }
    """#
}
