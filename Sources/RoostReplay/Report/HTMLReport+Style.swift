extension HTMLReport {
  /// One column that a phone can show; two colours of paper; on paper always the light one. The series colours are
  /// Okabe and Ito's, which people who do not see red and green apart can tell (jfly.uni-koeln.de/color).
  static let style = """
    :root { --paper: #fbfbfa; --card: #fff; --ink: #1c2024; --soft: #60666d; --rule: #e3e4e1; --good: #0a7a4b;
      --bad: #b3261e; --pool: #0072b2; --computed: #e69f00; --faint: #c9dff0;
      --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #cc79a7; --s4: #a67c00; --s5: #56b4e9; }
    @media screen and (prefers-color-scheme: dark) { :root { --paper: #14171a; --card: #1c2024; --ink: #e8eaed;
      --soft: #9aa1a9; --rule: #31363c; --good: #56d29a; --bad: #ff8a80; --pool: #4aa3df; --computed: #c98a1a;
      --faint: #27435a; --s0: #6cb8ee; --s1: #ff8a4c; --s2: #3fcf9f; --s3: #e79bc6; --s4: #e0b84a; --s5: #9fdcff; } }
    * { box-sizing: border-box; margin: 0; }
    body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
    header { margin-bottom: 1.25rem; }
    .brand { color: var(--soft); font-size: .85rem; letter-spacing: .04em; }
    h1 { font-size: clamp(1.4rem, 5vw, 2rem); line-height: 1.2; margin: .15rem 0 .5rem; overflow-wrap: anywhere; }
    h2 { font-size: 1.1rem; line-height: 1.3; }
    .verdict { display: inline-block; margin: .75rem .5rem 0 0; padding: .2rem .7rem; border: 1px solid currentColor;
      border-radius: 1rem; color: var(--soft); font-size: .9rem; }
    .good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
    figure, section { background: var(--card); border: 1px solid var(--rule); border-radius: .6rem;
      padding: 1rem; margin: 1rem 0; }
    .caption, .readout { color: var(--soft); font-size: .875rem; }
    .readout { text-align: center; margin-top: .35rem; min-height: 1.5em; font-variant-numeric: tabular-nums; }
    dl.tiles { display: grid; gap: .6rem; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); }
    dl.tiles div { background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; padding: .7rem .9rem; }
    dt { color: var(--soft); font-size: .85rem; }
    dl.tiles dd { font-size: 1.45rem; font-weight: 600; line-height: 1.25; font-variant-numeric: tabular-nums; }
    dl.tiles small { display: block; font-size: .8rem; font-weight: 400; color: var(--soft); }
    .legend { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; list-style: none; padding: 0; margin: .4rem 0 .7rem;
      font-size: .875rem; }
    .legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin-right: .4rem;
      vertical-align: -.05rem; }
    .legend i.line { height: .2rem; vertical-align: .25rem; }
    .frame { display: grid; grid-template-columns: auto 1fr; column-gap: .5rem; }
    .values { display: flex; flex-direction: column; justify-content: space-between; text-align: right;
      margin: -.6rem 0; }
    .values, .requests, .decades { color: var(--soft); font-size: .75rem; line-height: 1.2rem;
      font-variant-numeric: tabular-nums; white-space: nowrap; }
    .plot { position: relative; height: clamp(9rem, 34vw, 15rem); border: solid var(--rule); border-width: 1px 0;
      touch-action: pan-y; }
    .plot svg { display: block; width: 100%; height: 100%; overflow: visible; }
    .requests { grid-column: 2; display: flex; justify-content: space-between; margin-top: .25rem; }
    .cursor { position: absolute; top: 0; bottom: 0; width: 1px; background: var(--ink); pointer-events: none; }
    svg * { vector-effect: non-scaling-stroke; }
    .grid { stroke: var(--rule); stroke-width: 1; }
    polyline { fill: none; stroke-width: 2.25; stroke-linejoin: round; }
    polygon.moment { fill: var(--faint); } i.moment { background: var(--faint); }
    polygon.computed { fill: var(--computed); } i.computed { background: var(--computed); }
    polygon.pool, polygon.occupied { fill: var(--pool); } i.pool, i.occupied { background: var(--pool); }
    polyline.s0 { stroke: var(--s0); } i.s0 { background: var(--s0); }
    polyline.s1 { stroke: var(--s1); stroke-dasharray: 8 3; } i.s1 { background: var(--s1); }
    polyline.s2 { stroke: var(--s2); stroke-dasharray: 3 3; } i.s2 { background: var(--s2); }
    polyline.s3 { stroke: var(--s3); stroke-dasharray: 12 4; } i.s3 { background: var(--s3); }
    polyline.s4 { stroke: var(--s4); stroke-dasharray: 8 3 2 3; } i.s4 { background: var(--s4); }
    polyline.s5 { stroke: var(--s5); } i.s5 { background: var(--s5); }
    .tracks, .bars { display: grid; grid-template-columns: auto 1fr; gap: .5rem .9rem; align-items: center;
      margin: .3rem 0 1rem; }
    .tracks { padding-right: 1.2rem; }
    .tracks b, .bars b { font-weight: 500; font-size: .9rem; }
    .track { position: relative; height: 1.5rem; border-bottom: 1px solid var(--rule); }
    .track s { position: absolute; top: .62rem; height: .25rem; background: var(--faint); }
    .dot, .legend i.p50, .legend i.p90, .legend i.p99, .legend i.max { border: 2px solid var(--s0);
      border-radius: 50%; width: .8rem; height: .8rem; background: var(--s0); }
    .dot { position: absolute; top: .35rem; margin-left: -.4rem; }
    .dot.p90, .legend i.p90 { border-color: var(--s2); background: var(--s2); border-radius: .15rem; }
    .dot.p99, .legend i.p99 { border-color: var(--s1); background: var(--s1); transform: rotate(45deg) scale(.85);
      border-radius: .1rem; }
    .dot.max, .legend i.max { border-color: var(--soft); background: var(--card); }
    .decades { position: relative; height: 1.2rem; }
    .decades span { position: absolute; transform: translateX(-50%); }
    .bar { display: flex; align-items: center; gap: .5rem; padding-right: 4.5rem; }
    .bar i { height: 1.3rem; border-radius: 0 .2rem .2rem 0; min-width: 2px; flex: none; }
    .bar span { font-variant-numeric: tabular-nums; font-size: .9rem; white-space: nowrap; }
    .wide { overflow-x: auto; }
    table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
    th, td { text-align: right; padding: .35rem .5rem; border-top: 1px solid var(--rule); white-space: nowrap;
      font-weight: 400; }
    thead th { color: var(--soft); border-top: 0; } th:first-child { text-align: left; padding-left: 0; }
    tbody th { font-weight: 500; }
    dl.conditions { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .6rem 1.2rem;
      margin-top: .6rem; }
    dl.conditions dd { overflow-wrap: anywhere; font-size: .95rem; }
    @media (max-width: 34rem) { .decades span:nth-child(even) { display: none; } figure, section { padding: .85rem; }
      th, td { padding: .35rem .18rem; font-size: .76rem; } }
    @media print { body { background: #fff; font-size: 11pt; print-color-adjust: exact;
      -webkit-print-color-adjust: exact; } main { padding: 0; max-width: none; } figure, section, dl.tiles div {
      break-inside: avoid; } .plot { height: 11rem; } .readout { min-height: 0; } }
    """
}
